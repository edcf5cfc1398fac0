-- The first outcomes of commands: their records, and where the first stream of each ended then.
-- For each a look in the primary key of diptych_command, and one in diptych_event_stream_version.
SELECT c.id, c.digest, c.result, c.stream, c.version, coalesce(e.position, 0) AS stream_position, c.position
FROM unnest($1::text[]) AS wanted (id)
JOIN diptych_command AS c ON c.id = wanted.id
LEFT JOIN diptych_event AS e ON e.stream = c.stream AND e.version = c.version
