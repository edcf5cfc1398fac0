-- The bookkeeping of one partition of a generation.
-- Relies on the primary key.
SELECT projection, version, generation, partition, position, event_id, log_id, incarnation,
       epoch, owner, lease_until, state, paused, error, error_position, error_event_id, error_type, since,
       parked_at, head, seen_at, behind_since, rate, kept_until
FROM diptych_checkpoint
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition;
