-- Events of the categories $3 after $1, oldest first, at most $2 of them; with each the log's end, in the same
-- snapshot; one row without an event where there is none.
-- Walks diptych_event_category_position once for each category, no further than the page can reach; the
-- comparison of rows leaves the planner no other way, whatever it knows of the log, nor does OFFSET 0.
WITH head AS MATERIALIZED (
    SELECT e.position, e.id, pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() AS durable
    FROM (SELECT 1) AS always
    LEFT JOIN LATERAL (SELECT position, id FROM diptych_event ORDER BY position DESC LIMIT 1) AS e ON true
)
SELECT
    e.position, e.stream, e.category, e.version, e.type, e.schema_version, e.id, e.payload, e.metadata, e.recorded_at,
    head.position AS head, head.id AS head_id, head.durable
FROM head
LEFT JOIN LATERAL (
    SELECT d.*
    FROM (
        SELECT p.position
        FROM unnest($3::text[]) AS wanted (category)
        CROSS JOIN LATERAL (
            SELECT l.position FROM diptych_event AS l
            WHERE (l.category, l.position) > (wanted.category, $1)
                AND (l.category, l.position) <= (wanted.category, 9223372036854775807)
            ORDER BY l.category, l.position
            LIMIT $2
        ) AS p
        ORDER BY p.position
        LIMIT $2
    ) AS found
    CROSS JOIN LATERAL (SELECT * FROM diptych_event AS l WHERE l.position = found.position OFFSET 0) AS d
) AS e ON true
ORDER BY e.position
