-- Append a batch, and wait for the disk when others may append already; see diptych_commit.
CALL diptych_commit(
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14,
    $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28,
    NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
)
