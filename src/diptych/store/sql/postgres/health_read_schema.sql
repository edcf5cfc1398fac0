-- Which schema the tables of read models have.
SELECT schema_version
FROM diptych_read
