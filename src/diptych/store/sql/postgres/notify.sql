-- Tell whoever listens that the log has grown; committed without waiting for the disk.
SELECT set_config('synchronous_commit', 'off', true), pg_notify($1, $2)
