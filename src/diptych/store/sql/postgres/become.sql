-- Give the log another identity.
UPDATE diptych_log
SET log_id = $1, incarnation = $2
