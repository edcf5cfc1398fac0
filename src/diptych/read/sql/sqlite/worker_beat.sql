-- Say that a worker lives, and what it can run. Relies on the primary key.
INSERT INTO diptych_worker (worker, alive_until, runs)
VALUES (:worker, CAST(unixepoch('subsec') * 1000000 AS INTEGER) + :lease_us, :runs)
ON CONFLICT (worker) DO UPDATE SET alive_until = excluded.alive_until, runs = excluded.runs;
