-- Events of many types or categories after a position, oldest first, at most :limit
-- of them. :types and :categories are JSON arrays; NULL takes all.
-- Walks the primary key: with so many wanted, most of what lies there is.
SELECT
    position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at
FROM event
WHERE
    position > :after
    AND (:types IS NULL OR type IN (SELECT value FROM json_each(:types)))
    AND (:categories IS NULL OR category IN (SELECT value FROM json_each(:categories)))
ORDER BY position
LIMIT :limit;
