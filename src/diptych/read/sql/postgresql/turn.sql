-- One change of a projection's tables, or of what it serves, at a time, until the end of the transaction. The server
-- bears no longer silence in it than is given: a client that is stopped or cut off must not hold up all others.
SELECT set_config('idle_in_transaction_session_timeout', CAST(:silence AS text), true),
       pg_advisory_xact_lock(hashtext('diptych ' || current_schema()), hashtext(:projection));
