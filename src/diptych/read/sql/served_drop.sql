-- Point the queries of a version at nothing any more.
-- Relies on the primary key.
DELETE FROM diptych_served WHERE projection = :projection AND version = :version;
