-- Pause all that is built of a projection, or let it go on; not what it is verified by, which is generation 0.
-- Relies on the primary key.
UPDATE diptych_checkpoint
SET paused = :paused
WHERE projection = :projection AND version = :version AND generation > 0;
