-- Make durable what was committed before, if these are still there; see diptych_flush.
SELECT diptych_flush($1, $2, $3)
