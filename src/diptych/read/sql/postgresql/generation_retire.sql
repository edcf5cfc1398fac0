-- A generation that was served is kept in step for a while; whoever owns it has to claim it anew.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET kept_until = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + :keep_us,
    epoch = epoch + 1, owner = NULL, lease_until = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
WHERE projection = :projection AND version = :version AND generation = :generation;
