-- The event at exactly this position; no row where there is none.
-- One look in the primary key.
SELECT
    position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at
FROM event
WHERE position = :position;
