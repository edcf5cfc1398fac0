-- Let go of a partition, so that another may own it at once; without an owner since now.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET owner = NULL, lease_until = CAST(unixepoch('subsec') * 1000000 AS INTEGER)
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition
  AND epoch = :epoch;
