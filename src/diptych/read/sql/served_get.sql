-- The generation that answers queries, and the bookkeeping of its partitions: read in the snapshot of the rows.
-- Relies on both primary keys.
SELECT projection, version, generation, c.partition, c.position, c.event_id, c.log_id, c.incarnation,
       c.epoch, c.owner, c.lease_until, c.state, c.paused, c.error, c.error_position, c.error_event_id,
       c.error_type, c.since, c.parked_at, c.head, c.seen_at, c.behind_since, c.rate, c.kept_until, 1 AS served
FROM diptych_served AS s
JOIN diptych_checkpoint AS c USING (projection, version, generation)
WHERE s.projection = :projection AND s.version = :version
ORDER BY c.partition;
