-- Forget a worker that ends, and those that were last seen long ago.
-- A full scan: there is a handful of rows.
DELETE FROM diptych_worker
WHERE worker = :worker OR alive_until < :before;
