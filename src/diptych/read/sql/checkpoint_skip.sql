-- Move a partition past the event that it stopped at. A new epoch has its owner look where it is.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET position = error_position, event_id = COALESCE(error_event_id, ''), epoch = epoch + 1, state = 'running',
    error = NULL, error_position = NULL, error_event_id = NULL, error_type = NULL, since = NULL
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition
  AND error_position = :position AND position < :position;
