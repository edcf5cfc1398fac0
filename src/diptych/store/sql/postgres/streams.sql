-- Streams in the order they began in, those that began after $1, at most $2 of them; with each the id at its end.
-- Walks the primary key for first versions, and takes one step from the end of each stream.
SELECT
    b.stream, b.category, b.position AS began, e.version, e.position, e.recorded_at, e.id
FROM diptych_event AS b
CROSS JOIN LATERAL (
    SELECT l.version, l.position, l.recorded_at, l.id FROM diptych_event AS l
    WHERE l.stream = b.stream
    ORDER BY l.version DESC
    LIMIT 1
) AS e
WHERE b.position > $1 AND b.version = 1
ORDER BY b.position
LIMIT $2
