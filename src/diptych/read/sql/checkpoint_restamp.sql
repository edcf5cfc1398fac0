-- Take a generation's checkpoints along into another identity of its log.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET log_id = :log_id, incarnation = :incarnation, state = 'running',
    error = NULL, error_position = NULL, error_event_id = NULL, error_type = NULL, since = NULL
WHERE projection = :projection AND version = :version AND generation = :generation;
