-- Keep the lease, and learn whether it is still ours: no row changes once another owns it.
-- The first statement of every batch. Relies on the primary key.
UPDATE diptych_checkpoint
SET lease_until = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + :lease_us
WHERE projection = :projection AND version = :version AND generation = :generation
  AND position = :position AND epoch = :epoch;
