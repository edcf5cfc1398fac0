-- The generation that answers queries, and the position it is at: read in the snapshot of the rows.
-- Relies on both primary keys.
SELECT s.generation, c.position
FROM diptych_served AS s
JOIN diptych_checkpoint AS c USING (projection, version, generation)
WHERE s.projection = :projection AND s.version = :version;
