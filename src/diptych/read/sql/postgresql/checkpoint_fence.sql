-- Keep the lease, and learn whether it is still ours: no row changes once another owns it, nor while paused.
-- The first statement of every batch. Relies on the primary key.
UPDATE diptych_checkpoint
SET lease_until = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + :lease_us,
    seen_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition
  AND position = :position AND epoch = :epoch AND paused = 0;
