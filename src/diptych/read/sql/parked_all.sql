-- All that is parked, oldest first.
-- A full scan: what may be parked is bounded.
SELECT projection, version, generation, partition, key, position, event_id, type, error, tries, since, wanted
FROM diptych_parked
ORDER BY projection, version, generation, partition, position, key;
