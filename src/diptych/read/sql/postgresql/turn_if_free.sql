-- As `turn`, where nobody has it: whether that is so. The server bears no longer silence in the transaction than is
-- given: a client that is stopped or cut off must not hold up all others.
SELECT set_config('idle_in_transaction_session_timeout', CAST(:silence AS text), true),
       pg_try_advisory_xact_lock(hashtext('diptych ' || current_schema()), hashtext(:turn)) AS taken;
