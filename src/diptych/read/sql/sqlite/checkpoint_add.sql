-- Begin a projection's bookkeeping at the start of the log; a row that is there stays.
-- Relies on the primary key.
INSERT INTO diptych_checkpoint
    (projection, version, generation, partition, position, event_id, log_id, incarnation, epoch, lease_until, state,
     tables, code)
VALUES (:projection, :version, :generation, :partition, 0, '', :log_id, :incarnation, 0,
        CAST(unixepoch('subsec') * 1000000 AS INTEGER), 'new', :tables, :code)
ON CONFLICT (projection, version, generation, partition) DO NOTHING;
