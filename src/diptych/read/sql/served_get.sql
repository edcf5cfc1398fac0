-- The generation that answers queries, and its bookkeeping: read in the snapshot of the rows.
-- Relies on both primary keys.
SELECT projection, version, generation, c.position, c.event_id, c.log_id, c.incarnation,
       c.epoch, c.owner, c.lease_until, c.state, c.error, c.error_position, c.since, 1 AS served
FROM diptych_served AS s
JOIN diptych_checkpoint AS c USING (projection, version, generation)
WHERE s.projection = :projection AND s.version = :version;
