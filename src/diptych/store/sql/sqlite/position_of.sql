-- The position of a stream's version; no row while there is no such version.
-- One look in event_stream_version, which covers it.
SELECT position
FROM event
WHERE stream = :stream AND version = :version;
