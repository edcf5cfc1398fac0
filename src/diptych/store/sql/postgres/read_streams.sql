-- The first $2 events of each of the streams $1, in order, with the place that its stream has there.
-- Walks each stream in diptych_event_stream_version.
SELECT
    e.position, e.stream, e.category, e.version, e.type, e.schema_version, e.id, e.payload, e.metadata, e.recorded_at,
    wanted.place
FROM unnest($1::text[]) WITH ORDINALITY AS wanted (stream, place)
CROSS JOIN LATERAL (
    SELECT * FROM diptych_event AS d WHERE d.stream = wanted.stream ORDER BY d.version LIMIT $2
) AS e
ORDER BY wanted.place, e.version
