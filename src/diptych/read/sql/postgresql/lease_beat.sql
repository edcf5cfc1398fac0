-- Extend every lease of a worker, also those that it holds under a number for a rebuild. A row that is locked is
-- passed by: its batch has extended it, and the others must not wait for that. A full scan: there is a handful of rows.
UPDATE diptych_checkpoint
SET lease_until = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + :lease_us
WHERE (projection, version, generation, partition) IN (
    SELECT projection, version, generation, partition
    FROM diptych_checkpoint
    WHERE owner = :worker OR substr(owner, 1, length(:worker) + 1) = :worker || '.'
    FOR UPDATE SKIP LOCKED
);
