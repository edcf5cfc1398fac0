-- Keep the lease, and learn whether it is still ours: no row changes once another owns it, nor while paused.
-- Until the end of the transaction the server bears no longer silence, and no longer batch (from version 17 on), than
-- is given, less than a lease: the row is locked meanwhile, and a client that is stopped or cut off must not hold it.
-- The first statement of every batch, but for the turn of one that begins to be served. Relies on the primary key.
WITH limits AS MATERIALIZED (
    SELECT set_config('idle_in_transaction_session_timeout', CAST(:silence AS text), true),
           CASE WHEN current_setting('server_version_num')::integer >= 170000
                THEN set_config('transaction_timeout', CAST(:silence AS text), true) END
)
UPDATE diptych_checkpoint
SET lease_until = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + :lease_us,
    seen_at = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
FROM limits
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition
  AND position = :position AND epoch = :epoch AND paused = 0;
