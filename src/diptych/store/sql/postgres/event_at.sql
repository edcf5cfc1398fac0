-- The event at exactly this position. One look in the primary key.
SELECT position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at
FROM diptych_event
WHERE position = $1
