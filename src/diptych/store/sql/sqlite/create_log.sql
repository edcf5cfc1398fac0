-- Give a new log its identity.
-- Runs once, in the transaction that makes the tables.
INSERT INTO log (log_id, incarnation)
VALUES (:log_id, 1);
