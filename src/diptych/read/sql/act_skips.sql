-- Which events of a projection were skipped by hand, the latest first, a limited number.
-- A full scan: what was ordered by hand is little.
SELECT at, projection, version, act, key, position, reason, by
FROM diptych_act
WHERE projection = :projection AND act = 'skip'
ORDER BY id DESC
LIMIT :most;
