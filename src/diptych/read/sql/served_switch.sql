-- Move the pointer from one generation to another; no row changes where it points elsewhere meanwhile.
-- Relies on the primary key.
UPDATE diptych_served
SET generation = :generation
WHERE projection = :projection AND version = :version AND generation = :old;
