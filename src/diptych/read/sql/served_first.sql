-- Point queries at a generation, where they are pointed at none: only a switch moves the pointer.
-- Relies on the primary key.
INSERT INTO diptych_served (projection, version, generation)
VALUES (:projection, :version, :generation)
ON CONFLICT (projection, version) DO NOTHING;
