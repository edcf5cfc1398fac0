-- What time it is by this database's clock, in microseconds since 1970.
SELECT CAST(unixepoch('subsec') * 1000000 AS INTEGER) AS now;
