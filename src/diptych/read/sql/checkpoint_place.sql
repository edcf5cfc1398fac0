-- Put a checkpoint that keeps nothing at another place, in another identity of its log.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET position = :through, event_id = :event_id, log_id = :log_id, incarnation = :incarnation, state = 'running',
    error = NULL, error_position = NULL, error_event_id = NULL, error_type = NULL, since = NULL, behind_since = NULL
WHERE projection = :projection AND version = :version AND generation = :generation;
