-- Extend every lease of a worker, also those that it holds under a number for a rebuild.
-- A full scan: there is a handful of rows.
UPDATE diptych_checkpoint
SET lease_until = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + :lease_us
WHERE owner = :worker OR substr(owner, 1, length(:worker) + 1) = :worker || '.';
