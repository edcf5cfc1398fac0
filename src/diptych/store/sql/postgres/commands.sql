-- Commands after the id $1, in the order of ids, at most $2 of them.
-- Walks the primary key of diptych_command.
SELECT id, digest, result, stream, version, position, recorded_at
FROM diptych_command
WHERE id > $1
ORDER BY id
LIMIT $2
