-- The first outcome of a command: its record, and where its first stream ended then.
-- One look in the primary key of diptych_command, one in diptych_event_stream_version.
SELECT c.digest, c.result, c.stream, c.version, coalesce(e.position, 0) AS stream_position, c.position
FROM diptych_command AS c
LEFT JOIN diptych_event AS e ON e.stream = c.stream AND e.version = c.version
WHERE c.id = $1
