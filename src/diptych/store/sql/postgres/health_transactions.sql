-- Transactions of this database that have been open for longer than $1 seconds, the oldest first; autovacuum ends its own.
SELECT
    a.pid, a.application_name, a.state, left(a.query, 200) AS query,
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS seconds
FROM pg_stat_activity AS a
WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()
    AND a.backend_type <> 'autovacuum worker'
    AND a.xact_start < clock_timestamp() - make_interval(secs => $1)
ORDER BY a.xact_start
