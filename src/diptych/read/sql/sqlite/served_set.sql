-- Point queries at a generation.
-- Relies on the primary key.
INSERT INTO diptych_served (projection, version, generation)
VALUES (:projection, :version, :generation)
ON CONFLICT (projection, version) DO UPDATE SET generation = excluded.generation;
