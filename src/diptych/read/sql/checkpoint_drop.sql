-- Forget a generation that is not served any more, all its partitions.
-- Relies on the primary key.
DELETE FROM diptych_checkpoint
WHERE projection = :projection AND version = :version AND generation = :generation;
