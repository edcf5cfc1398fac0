-- Nobody waits any more for an event to be tried again. Relies on the primary key.
UPDATE diptych_parked
SET wanted = 0
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition AND position = :position;
