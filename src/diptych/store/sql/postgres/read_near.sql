-- Events after $1 and up to $2, oldest first, at most $3 of them; of the types $4 and the categories $5, or all where
-- one is NULL. One row, each column as a whole, which costs a driver far less than values: numbers as they go over the
-- wire, the others between delimiters, $6, which a name may hold too, JSON not. With it the log's end, in the same
-- snapshot, and how many bytes all texts have: more than $7 would be too much to put together, and aren't told.
-- Walks the primary key from $1 to $2, twice; the size of a text is known without reading it.
WITH head AS MATERIALIZED (
    SELECT e.position, e.id, pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() AS durable
    FROM (SELECT 1) AS always
    LEFT JOIN LATERAL (SELECT position, id FROM diptych_event ORDER BY position DESC LIMIT 1) AS e ON true
),
size AS MATERIALIZED (
    SELECT coalesce(sum(
        octet_length(e.stream) + octet_length(e.category) + octet_length(e.type) + octet_length(e.id)
        + octet_length(e.payload) + octet_length(e.metadata)
    ), 0) AS bytes
    FROM (
        SELECT d.*
        FROM diptych_event AS d
        WHERE d.position > $1 AND d.position <= $2
            AND coalesce(d.type = ANY ($4::text[]), true) AND coalesce(d.category = ANY ($5::text[]), true)
        ORDER BY d.position
        LIMIT $3
    ) AS e
)
SELECT
    head.position AS head, head.id AS head_id, head.durable, size.bytes, near.*
FROM head
CROSS JOIN size
CROSS JOIN LATERAL (
    SELECT
        count(*),
        string_agg(int8send(e.position), ''), string_agg(e.stream, $6), string_agg(e.category, $6),
        string_agg(int8send(e.version), ''), string_agg(e.type, $6), string_agg(int4send(e.schema_version), ''),
        string_agg(e.id, $6), convert_to(string_agg(e.payload, $6), 'UTF8'),
        convert_to(string_agg(e.metadata, $6), 'UTF8'),
        string_agg(int8send(e.recorded_at), '')
    FROM (
        SELECT d.*
        FROM diptych_event AS d
        WHERE d.position > $1 AND d.position <= $2
            AND coalesce(d.type = ANY ($4::text[]), true) AND coalesce(d.category = ANY ($5::text[]), true)
        ORDER BY d.position
        LIMIT $3
    ) AS e
    WHERE size.bytes <= $7
) AS near
