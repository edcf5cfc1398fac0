-- A generation is served from now on; whoever built it or kept it in step has to claim it anew.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET kept_until = NULL,
    epoch = epoch + 1, owner = NULL, lease_until = CAST(unixepoch('subsec') * 1000000 AS INTEGER)
WHERE projection = :projection AND version = :version AND generation = :generation;
