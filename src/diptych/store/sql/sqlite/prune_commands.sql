-- Forget the commands between two ids, the latter included, that were recorded before a time.
-- Walks the primary key of command.
DELETE FROM command
WHERE id > :after AND id <= :through AND recorded_at < :before;
