-- Where a stream ends, and the category that it belongs to; no row for a new one.
-- One step from the end of the stream in event_stream_version.
SELECT version, category
FROM event
WHERE stream = :stream
ORDER BY version DESC
LIMIT 1;
