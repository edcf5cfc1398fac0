-- Own a partition, if nobody's lease runs or its owner is known to be dead.
-- A new epoch shuts the former owner out. Relies on the primary key.
UPDATE diptych_checkpoint
SET owner = :owner,
    epoch = epoch + 1,
    lease_until = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + :lease_us
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition
  AND (owner IS NULL OR owner IN (:owner, :dead_owner) OR lease_until < CAST(unixepoch('subsec') * 1000000 AS INTEGER));
