-- Keep the lease, and learn whether it is still ours: no row changes once another owns it.
-- The first statement of every batch. Relies on the primary key.
UPDATE diptych_checkpoint
SET lease_until = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + :lease_us
WHERE projection = :projection AND version = :version AND generation = :generation
  AND position = :position AND epoch = :epoch;
