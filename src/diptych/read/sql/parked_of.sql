-- What is parked of one partition, oldest first.
-- Relies on the primary key.
SELECT projection, version, generation, partition, key, position, event_id, type, error, tries, since, wanted
FROM diptych_parked
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition
ORDER BY position, key;
