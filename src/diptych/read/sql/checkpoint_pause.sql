-- Pause all that is built of a projection, or let it go on. Relies on the primary key.
UPDATE diptych_checkpoint
SET paused = :paused
WHERE projection = :projection AND version = :version;
