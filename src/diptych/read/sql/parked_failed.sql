-- An event that was tried again failed again. Relies on the primary key.
UPDATE diptych_parked
SET error = :error, tries = tries + 1
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition AND position = :position;
