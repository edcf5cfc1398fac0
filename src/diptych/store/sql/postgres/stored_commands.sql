-- Commands by their ids, as they lie in the log. A look in the primary key of diptych_command for each.
SELECT d.id, d.digest, d.result, d.stream, d.version, d.position, d.recorded_at
FROM unnest($1::text[]) AS wanted (id)
JOIN diptych_command AS d ON d.id = wanted.id
