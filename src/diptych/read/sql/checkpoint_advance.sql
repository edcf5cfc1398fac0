-- Move the checkpoint past a batch, in the transaction of its effects, behind the fence.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET position = :through, event_id = :event_id, state = 'running',
    error = NULL, error_position = NULL, since = NULL
WHERE projection = :projection AND version = :version AND generation = :generation
  AND position = :position AND epoch = :epoch;
