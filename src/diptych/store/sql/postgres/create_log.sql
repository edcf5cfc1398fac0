-- Give a new log its identity.
INSERT INTO diptych_log (log_id, incarnation, schema_version)
VALUES ($1, 1, 0)
