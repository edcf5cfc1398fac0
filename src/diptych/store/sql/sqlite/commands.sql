-- Commands after an id, in the order of ids, at most :limit of them.
-- Walks the primary key of command.
SELECT id, digest, result, stream, version, position, recorded_at
FROM command
WHERE id > :after
ORDER BY id
LIMIT :limit;
