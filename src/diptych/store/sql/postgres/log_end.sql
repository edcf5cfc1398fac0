-- Where the log ends, and when its last event was recorded; no row while it is empty.
-- One step from the end of the primary key.
SELECT position, recorded_at
FROM diptych_event
ORDER BY position DESC
LIMIT 1
