-- Whether the tables of a log are there. A scan of the catalogue: what is remembered of names
-- (to_regclass) may be older than the end of a wait for a lock.
SELECT EXISTS (
    SELECT 1
    FROM pg_class AS c
    JOIN pg_namespace AS n ON n.oid = c.relnamespace
    WHERE c.relname = 'diptych_log' AND n.nspname = ANY (current_schemas(false))
)
