-- Say why a projection stopped, at which event and since when.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET state = :state, error = :error, error_position = :error_position,
    since = COALESCE(since, CAST(unixepoch('subsec') * 1000000 AS INTEGER))
WHERE projection = :projection AND version = :version AND generation = :generation
  AND epoch = :epoch;
