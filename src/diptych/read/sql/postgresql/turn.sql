-- One at a time, until the end of the transaction, does what the turn is for.
SELECT pg_advisory_xact_lock(hashtext('diptych ' || current_schema()), hashtext(:turn));
