-- Where the events of these ids lie, in the order of the ids. A look in diptych_event_id for each.
SELECT d.stream, d.version, d.position
FROM unnest($1::text[]) WITH ORDINALITY AS wanted (id, number)
JOIN diptych_event AS d ON d.id = wanted.id
ORDER BY wanted.number
