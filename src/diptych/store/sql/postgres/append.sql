-- Append a batch in one transaction that waits for the disk by itself; see diptych_append.
SELECT statuses, faults, ends, end_positions, wrong_categories, heads, versions, before, head
FROM diptych_append(
    true, $1, true, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
    $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26
)
