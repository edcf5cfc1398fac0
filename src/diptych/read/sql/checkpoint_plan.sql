-- What a generation's tables were built by.
-- Relies on the primary key.
SELECT tables, code
FROM diptych_checkpoint
WHERE projection = :projection AND version = :version AND generation = :generation
ORDER BY partition
LIMIT 1;
