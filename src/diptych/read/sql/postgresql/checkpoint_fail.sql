-- Say why a projection stopped, at which event and since when.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET state = :state, error = :error, error_position = :error_position,
    since = COALESCE(since, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
WHERE projection = :projection AND version = :version AND generation = :generation
  AND epoch = :epoch;
