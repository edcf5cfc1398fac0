-- Forget those of the next $3 commands after the id $2 that were recorded before $1; how many, and the last id
-- looked at.
-- Walks the primary key of diptych_command.
WITH looked AS MATERIALIZED (
    SELECT id, recorded_at FROM diptych_command WHERE id > $2 ORDER BY id LIMIT $3
), forgotten AS (
    DELETE FROM diptych_command AS c USING looked AS l WHERE c.id = l.id AND l.recorded_at < $1
    RETURNING c.id
)
SELECT (SELECT count(*) FROM forgotten) AS forgotten, (SELECT max(id) FROM looked) AS through
