-- The highest position committed; 0 for an empty log.
-- One step from the end of the primary key.
SELECT coalesce(max(position), 0)
FROM event;
