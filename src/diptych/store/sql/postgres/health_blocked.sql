-- Who has waited longer than $1 seconds for whom in this database; pid 0 is a prepared transaction.
SELECT
    w.pid, w.application_name, left(w.query, 200) AS query,
    extract(epoch FROM clock_timestamp() - w.state_change)::float8 AS seconds,
    blocker.pid AS blocker, b.application_name AS blocker_name, b.state AS blocker_state,
    left(b.query, 200) AS blocker_query,
    extract(epoch FROM clock_timestamp() - b.xact_start)::float8 AS blocker_seconds
FROM pg_stat_activity AS w
CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocker (pid)
LEFT JOIN pg_stat_activity AS b ON b.pid = blocker.pid
WHERE w.datname = current_database() AND w.wait_event_type = 'Lock'
    AND w.state_change < clock_timestamp() - make_interval(secs => $1)
ORDER BY w.state_change
