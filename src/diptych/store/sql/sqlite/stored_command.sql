-- A command's record as it lies in the log.
-- One look in the primary key of command.
SELECT id, digest, result, stream, version, position, recorded_at
FROM command
WHERE id = :id;
