-- Where the event of an id lies; no row if it was never accepted.
-- One look in event_id.
SELECT stream, version, position
FROM event
WHERE id = :id;
