-- A generation that was served is kept in step for a while; whoever owns it has to claim it anew.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET kept_until = CAST(unixepoch('subsec') * 1000000 AS INTEGER) + :keep_us,
    epoch = epoch + 1, owner = NULL, lease_until = CAST(unixepoch('subsec') * 1000000 AS INTEGER)
WHERE projection = :projection AND version = :version AND generation = :generation;
