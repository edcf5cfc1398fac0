-- Events after $1 and up to $2, oldest first, at most $3 of them; of the types $4 and the categories $5, or all where
-- one is NULL. One row, each column as one text between delimiters, which costs a driver far less than values: $6,
-- which a name may hold too. With it the log's end, in the same snapshot.
-- Walks the primary key from $1 to $2.
WITH head AS MATERIALIZED (
    SELECT e.position, e.id, pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() AS durable
    FROM (SELECT 1) AS always
    LEFT JOIN LATERAL (SELECT position, id FROM diptych_event ORDER BY position DESC LIMIT 1) AS e ON true
)
SELECT
    head.position AS head, head.id AS head_id, head.durable, near.*
FROM head
CROSS JOIN (
    SELECT
        count(*),
        string_agg(e.position::text, $6), string_agg(e.stream, $6), string_agg(e.category, $6),
        string_agg(e.version::text, $6), string_agg(e.type, $6), string_agg(e.schema_version::text, $6),
        string_agg(e.id, $6), string_agg(e.payload, $6), string_agg(e.metadata, $6),
        string_agg(e.recorded_at::text, $6)
    FROM (
        SELECT d.*
        FROM diptych_event AS d
        WHERE d.position > $1 AND d.position <= $2
            AND coalesce(d.type = ANY ($4::text[]), true) AND coalesce(d.category = ANY ($5::text[]), true)
        ORDER BY d.position
        LIMIT $3
    ) AS e
) AS near
