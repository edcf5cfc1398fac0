-- Who holds the order lock just now, and since when.
SELECT
    a.pid, a.application_name, a.state, a.query,
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds
FROM pg_locks AS l
JOIN pg_stat_activity AS a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.classid = 1147761780
    AND l.objid = (('diptych_event'::regclass::oid::bigint + 2147483648) % 4294967296)::oid
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
LIMIT 1
