-- Append a batch; see diptych_append.
SELECT statuses, faults, ends, end_positions, wrong_categories, before, heads, head_id
FROM diptych_append(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23
)
