-- Say why a projection stopped, at which event and since when.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET state = :state, error = :error, error_position = :error_position,
    error_event_id = :error_event_id, error_type = :error_type,
    since = COALESCE(since, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint), behind_since = COALESCE(:behind_since, behind_since)
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition
  AND epoch = :epoch;
