-- Give the log another identity, durably whatever the server's own setting is.
UPDATE diptych_log
SET log_id = $1, incarnation = $2
FROM (SELECT set_config('synchronous_commit', 'on', true)) AS durable
