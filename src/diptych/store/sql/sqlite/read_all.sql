-- Events after a position, oldest first, at most :limit of them.
-- Walks the primary key; touches no other index.
SELECT
    position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at
FROM event
WHERE position > :after
ORDER BY position
LIMIT :limit;
