-- One projection's bookkeeping, which nobody else can change until the transaction ends.
-- Relies on the primary key.
SELECT projection, version, generation, position, event_id, log_id, incarnation,
       epoch, owner, lease_until, state, error, error_position, since
FROM diptych_checkpoint
WHERE projection = :projection AND version = :version AND generation = :generation
FOR UPDATE;
