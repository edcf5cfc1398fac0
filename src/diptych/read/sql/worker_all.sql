-- The workers, and until when each is known to live.
-- A full scan: there is a handful of rows.
SELECT worker, alive_until, runs
FROM diptych_worker
ORDER BY worker;
