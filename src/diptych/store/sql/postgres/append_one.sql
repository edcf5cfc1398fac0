-- Append one event in a transaction that waits for the disk by itself; see diptych_append_one.
SELECT version, before
FROM diptych_append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
