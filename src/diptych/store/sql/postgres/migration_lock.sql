-- Let one process at a time make the tables, until the end of its transaction.
SELECT pg_advisory_xact_lock(1147761780, hashtext(current_schema()))
