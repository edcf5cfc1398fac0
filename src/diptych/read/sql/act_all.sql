-- What was ordered by hand, the latest first, a limited number. Walks the primary key.
SELECT at, projection, version, act, key, position, reason, by
FROM diptych_act
ORDER BY id DESC
LIMIT :most;
