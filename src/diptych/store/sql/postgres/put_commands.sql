-- Remember commands as another log does.
INSERT INTO diptych_command (id, digest, result, stream, version, position, recorded_at)
SELECT id, digest, result, stream, version, position, recorded_at
FROM unnest($1::text[], $2::bytea[], $3::text[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[])
    AS c (id, digest, result, stream, version, position, recorded_at)
