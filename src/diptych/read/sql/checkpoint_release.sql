-- Let go of a projection, so that another may own it at once.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET owner = NULL, lease_until = 0
WHERE projection = :projection AND version = :version AND generation = :generation
  AND epoch = :epoch;
