-- Let a generation that queries are pointed at now be paused where the one before is. Relies on the primary key.
UPDATE diptych_checkpoint
SET paused = 1
WHERE projection = :projection AND version = :version AND generation = :generation AND EXISTS (
    SELECT 1 FROM diptych_checkpoint AS was
    WHERE was.projection = :projection AND was.version = :version AND was.generation = :old AND was.paused = 1
);
