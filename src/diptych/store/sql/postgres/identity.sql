-- Who the log is, and which schema it has. One row.
SELECT log_id, incarnation, schema_version
FROM diptych_log
