-- The last of the next :limit ids of commands after one; NULL where there is none.
-- Walks the primary key of command.
SELECT max(id)
FROM (SELECT id FROM command WHERE id > :after ORDER BY id LIMIT :limit);
