-- One change of a projection's tables at a time, until the end of the transaction.
SELECT pg_advisory_xact_lock(hashtext('diptych ' || current_schema()), hashtext(:projection));
