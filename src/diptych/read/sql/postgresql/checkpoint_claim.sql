-- Own a partition, if nobody's lease runs or its owner is known to be dead,
-- and no batch of it is under way: its row is locked then, and nobody waits for that.
-- A new epoch shuts the former owner out. Relies on the primary key.
UPDATE diptych_checkpoint
SET owner = :owner,
    epoch = epoch + 1,
    lease_until = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + :lease_us
WHERE (projection, version, generation, partition) IN (
    SELECT projection, version, generation, partition
    FROM diptych_checkpoint
    WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition
      AND (owner IS NULL OR owner IN (:owner, :dead_owner) OR lease_until < (extract(epoch FROM clock_timestamp()) * 1000000)::bigint)
    FOR UPDATE SKIP LOCKED
);
