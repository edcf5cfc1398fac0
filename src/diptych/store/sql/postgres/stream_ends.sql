-- Where each of these streams ends, and its category; no row for one that isn't there.
-- One step from the end of each in diptych_event_stream_version.
SELECT e.stream, e.version, e.category
FROM unnest($1::text[]) AS wanted (stream)
CROSS JOIN LATERAL (
    SELECT l.stream, l.version, l.category FROM diptych_event AS l
    WHERE l.stream = wanted.stream
    ORDER BY l.version DESC
    LIMIT 1
) AS e
