-- Of which partitions somebody wants parked events tried again.
-- A full scan: what may be parked is bounded.
SELECT DISTINCT projection, version, generation, partition
FROM diptych_parked
WHERE wanted = 1
ORDER BY projection, version, generation, partition;
