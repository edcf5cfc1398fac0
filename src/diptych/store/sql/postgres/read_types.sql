-- Events of the types $3 after $1, oldest first, at most $2 of them; of the categories $4, or all where it is
-- NULL. With each the log's end, in the same snapshot; one row without an event where there is none.
-- Walks diptych_event_type_position once for each type, no further than the page can reach: a rare type
-- is found without walking the log. The comparison of rows leaves the planner no other way, whatever it knows of the
-- log, nor does OFFSET 0.
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
        FROM unnest($3::text[]) AS wanted (type)
        CROSS JOIN LATERAL (
            SELECT l.position FROM diptych_event AS l
            WHERE (l.type, l.position) > (wanted.type, $1) AND (l.type, l.position) <= (wanted.type, 9223372036854775807)
                AND coalesce(l.category = ANY ($4::text[]), true)
            ORDER BY l.type, l.position
            LIMIT $2
        ) AS p
        ORDER BY p.position
        LIMIT $2
    ) AS found
    CROSS JOIN LATERAL (SELECT * FROM diptych_event AS l WHERE l.position = found.position OFFSET 0) AS d
) AS e ON true
ORDER BY e.position
