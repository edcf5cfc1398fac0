-- An event is parked no more, under whichever of its keys. Relies on the primary key.
DELETE FROM diptych_parked
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition AND position = :position;
