-- Have the events of one key tried again. Relies on the primary key.
UPDATE diptych_parked
SET wanted = 1
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition AND key = :key;
