-- Keep the lease while nothing is applied, also while paused; no row changes once another owns it.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET lease_until = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + :lease_us
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition
  AND epoch = :epoch;
