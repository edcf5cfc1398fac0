-- Streams of a category in the order they began in, those that began after a position, at most :limit of them.
-- Walks event_category_position for first versions, and takes one step from the end of each stream.
SELECT began.stream, began.category, began.position, ended.version, ended.position, ended.recorded_at
FROM event AS began
JOIN event AS ended ON ended.position = (
    SELECT position FROM event WHERE stream = began.stream ORDER BY version DESC LIMIT 1
)
WHERE began.category = :category AND began.position > :after AND began.version = 1
ORDER BY began.position
LIMIT :limit;
