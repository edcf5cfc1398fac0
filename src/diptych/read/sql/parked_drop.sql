-- Forget what is parked of a generation.
-- Relies on the primary key.
DELETE FROM diptych_parked
WHERE projection = :projection AND version = :version AND generation = :generation;
