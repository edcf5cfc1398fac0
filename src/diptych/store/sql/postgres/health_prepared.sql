-- Transactions of this database that were prepared for a second phase and never ended, the oldest first.
SELECT gid, owner::text AS owner, extract(epoch FROM clock_timestamp() - prepared)::float8 AS seconds
FROM pg_prepared_xacts
WHERE database = current_database()
ORDER BY prepared
