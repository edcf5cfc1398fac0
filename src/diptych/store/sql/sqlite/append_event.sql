-- Put an event at the end of the log.
-- The primary key and event_id grow at their end; see event_is_never_replaced.
INSERT INTO event (
    position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at
)
VALUES (
    :position, :stream, :category, :version, :type, :schema_version, :id, :payload, :metadata, :recorded_at
);
