-- Say that a worker lives, and what it can run. Relies on the primary key.
INSERT INTO diptych_worker (worker, alive_until, runs)
VALUES (:worker, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + :lease_us, :runs)
ON CONFLICT (worker) DO UPDATE SET alive_until = excluded.alive_until, runs = excluded.runs;
