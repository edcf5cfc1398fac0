-- The highest position committed and the id there, none for an empty log; and whether all is durable.
-- One step from the end of the primary key.
SELECT e.position, e.id, pg_current_wal_flush_lsn() >= pg_current_wal_insert_lsn() AS durable
FROM (SELECT 1) AS always
LEFT JOIN LATERAL (SELECT position, id FROM diptych_event ORDER BY position DESC LIMIT 1) AS e ON true
