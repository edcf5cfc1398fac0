-- Give the log another identity, after it was restored or copied.
-- One row, by the primary key of log.
UPDATE log
SET log_id = :log_id, incarnation = :incarnation
WHERE only = 1;
