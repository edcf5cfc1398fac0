-- Events of one stream after a version, in order, at most :limit of them (-1 takes all).
-- Walks the stream in event_stream_version.
SELECT
    position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at
FROM event
WHERE stream = :stream AND version > :after
ORDER BY version
LIMIT :limit;
