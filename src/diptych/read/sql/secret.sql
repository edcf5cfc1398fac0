-- What cursors are signed with. A full scan: there is one row.
SELECT secret FROM diptych_secret LIMIT 1;
