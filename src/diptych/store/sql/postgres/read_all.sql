-- Events after $1, oldest first, at most $2 of them; with each the log's end, in the same snapshot.
-- One row without an event where there is none. Walks the primary key.
WITH head AS MATERIALIZED (
    SELECT e.position, e.id, pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() AS durable
    FROM (SELECT 1) AS always
    LEFT JOIN LATERAL (SELECT position, id FROM diptych_event ORDER BY position DESC LIMIT 1) AS e ON true
)
SELECT
    e.position, e.stream, e.category, e.version, e.type, e.schema_version, e.id, e.payload, e.metadata, e.recorded_at,
    head.position AS head, head.id AS head_id, head.durable
FROM head
LEFT JOIN LATERAL (SELECT * FROM diptych_event AS d WHERE d.position > $1 ORDER BY d.position LIMIT $2) AS e ON true
ORDER BY e.position
