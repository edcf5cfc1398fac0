-- Remember a command and its first outcome.
-- One look in the primary key of command.
INSERT INTO command (id, digest, result, stream, version, position, recorded_at)
VALUES (:id, :digest, :result, :stream, :version, :position, :recorded_at);
