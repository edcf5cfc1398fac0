-- Extend every lease of a worker. A full scan: there is a handful of rows.
UPDATE diptych_checkpoint
SET lease_until = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + :lease_us
WHERE owner = :worker;
