-- Which log this is.
-- One row, by the primary key of log.
SELECT log_id, incarnation
FROM log
WHERE only = 1;
