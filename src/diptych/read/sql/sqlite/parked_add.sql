-- Set an event aside under one of its keys: with the error where it failed itself, without where it queues.
-- Relies on the primary key.
INSERT INTO diptych_parked
    (projection, version, generation, partition, key, position, event_id, type, error, tries, since)
VALUES (:projection, :version, :generation, :partition, :key, :position, :event_id, :type, :error, :tries, CAST(unixepoch('subsec') * 1000000 AS INTEGER));
