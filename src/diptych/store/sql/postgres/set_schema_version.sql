-- Note which schema the tables have.
UPDATE diptych_log
SET schema_version = $1
