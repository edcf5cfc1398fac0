-- Note the lowest position that is parked of a partition. Relies on both primary keys.
UPDATE diptych_checkpoint
SET parked_at = (
    SELECT min(position) FROM diptych_parked
    WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition
)
WHERE projection = :projection AND version = :version AND generation = :generation AND partition = :partition;
