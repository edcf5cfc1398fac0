-- Extend every lease of a worker. A row that is locked is passed by: its batch has extended it, and the others
-- must not wait for that. A full scan: there is a handful of rows.
UPDATE diptych_checkpoint
SET lease_until = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + :lease_us
WHERE (projection, version, generation, partition) IN (
    SELECT projection, version, generation, partition
    FROM diptych_checkpoint
    WHERE owner = :worker
    FOR UPDATE SKIP LOCKED
);
