-- The channel on which processes tell each other of the read models in this schema.
SELECT 'diptych_read_' || md5(current_schema())
