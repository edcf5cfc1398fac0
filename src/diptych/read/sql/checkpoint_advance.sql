-- Move the checkpoint past a batch, in the transaction of its effects, behind the fence.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET position = :through, event_id = :event_id, state = 'running',
    error = NULL, error_position = NULL, error_event_id = NULL, error_type = NULL, since = NULL,
    head = :head, behind_since = :behind_since, rate = :rate
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition
  AND position = :position AND epoch = :epoch;
