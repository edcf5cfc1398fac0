-- The bookkeeping of every partition of every projection, and which generation of it is served.
-- A full scan: there is a handful of rows.
SELECT c.projection, c.version, c.generation, c.partition, c.position, c.event_id, c.log_id, c.incarnation,
       c.epoch, c.owner, c.lease_until, c.state, c.paused, c.error, c.error_position, c.error_event_id,
       c.error_type, c.since, c.parked_at, c.head, c.seen_at, c.behind_since, c.rate, c.kept_until,
       s.generation IS NOT NULL AS served
FROM diptych_checkpoint AS c
LEFT JOIN diptych_served AS s USING (projection, version, generation)
ORDER BY c.projection, c.version, c.generation, c.partition;
