-- What cursors are signed with: a secret of this database, so that every process that uses it takes
-- the cursors of the others.
CREATE TABLE diptych_secret (
    secret TEXT NOT NULL
) STRICT;

INSERT INTO diptych_secret (secret) VALUES (lower(hex(randomblob(32))));
