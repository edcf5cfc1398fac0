-- Events of the stream $1 after version $2, in order, at most $3 of them (NULL takes all).
-- Walks the stream in diptych_event_stream_version.
SELECT position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at
FROM diptych_event
WHERE stream = $1 AND version > $2
ORDER BY version
LIMIT $3
