-- Wait for the order lock, as diptych_append does, until the end of the transaction; not longer than $1 milliseconds.
SELECT set_config('lock_timeout', $1::text, true),
       pg_advisory_xact_lock(1147761780, ('diptych_event'::regclass::oid::bigint - 2147483648)::integer)
