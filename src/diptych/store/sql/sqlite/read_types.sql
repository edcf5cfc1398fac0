-- Events of some types after a position, oldest first, at most :limit of them; of
-- some categories only, where :categories is a JSON array and not NULL.
-- The arm, the line that names :type, is sent once for each type: SQLite merges the
-- arms as they lie in event_type_position and reads no further than the page, so
-- that a rare type is found without walking the log.
SELECT
    position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at
FROM event
WHERE position IN (
    SELECT position FROM (
        SELECT position FROM event WHERE type = :type AND position > :after AND (:categories IS NULL OR category IN (SELECT value FROM json_each(:categories)))
        ORDER BY position
        LIMIT :limit
    )
)
ORDER BY position;
