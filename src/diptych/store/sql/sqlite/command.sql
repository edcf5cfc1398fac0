-- The first outcome of a command: its record, and where its first stream ended then.
-- One look in the primary key of command, one in event_stream_version.
SELECT
    command.digest,
    command.result,
    command.stream,
    command.version,
    coalesce(event.position, 0),
    command.position
FROM command
LEFT JOIN event ON event.stream = command.stream AND event.version = command.version
WHERE command.id = :id;
