-- Streams of the category $3 in the order they began in, those that began after $1, at most $2 of them; with each
-- the id at its end.
-- Walks diptych_event_category_position for first versions, and takes one step from the end of each stream; the
-- comparison of rows leaves the planner no other way, whatever it knows of the log.
SELECT
    b.stream, b.category, b.position AS began, e.version, e.position, e.recorded_at, e.id
FROM diptych_event AS b
CROSS JOIN LATERAL (
    SELECT l.version, l.position, l.recorded_at, l.id FROM diptych_event AS l
    WHERE l.stream = b.stream
    ORDER BY l.version DESC
    LIMIT 1
) AS e
WHERE (b.category, b.position) > ($3, $1) AND (b.category, b.position) <= ($3, 9223372036854775807) AND b.version = 1
ORDER BY b.category, b.position
LIMIT $2
