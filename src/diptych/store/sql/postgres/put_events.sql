-- Put events at the end of the log as another log holds them.
INSERT INTO diptych_event
    (position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at)
SELECT position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at
FROM unnest(
    $1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::integer[], $7::text[], $8::text[], $9::text[],
    $10::bigint[]
) AS e (position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at)
