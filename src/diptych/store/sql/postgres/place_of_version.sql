-- The position and the id of a stream's version. One look in diptych_event_stream_version.
SELECT position, id
FROM diptych_event
WHERE stream = $1 AND version = $2
