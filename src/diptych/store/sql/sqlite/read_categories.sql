-- Events of some categories after a position, oldest first, at most :limit of them.
-- The arm, the line that names :category, is sent once for each category: SQLite
-- merges the arms as they lie in event_category_position and reads no further than
-- the page, so that a rare category is found without walking the log.
SELECT
    position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at
FROM event
WHERE position IN (
    SELECT position FROM (
        SELECT position FROM event WHERE category = :category AND position > :after
        ORDER BY position
        LIMIT :limit
    )
)
ORDER BY position;
