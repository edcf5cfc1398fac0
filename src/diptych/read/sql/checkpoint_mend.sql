-- Forget why a partition stopped, whoever owns it: it is about to be tried again. Relies on the primary key.
UPDATE diptych_checkpoint
SET state = 'running', error = NULL, error_position = NULL, error_event_id = NULL, error_type = NULL, since = NULL
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition AND error IS NOT NULL;
