-- What cursors are signed with: a secret of this database, so that every process that uses it takes
-- the cursors of the others. A random UUID has 122 random bits.
CREATE TABLE diptych_secret (
    secret text COLLATE "C" NOT NULL
);

INSERT INTO diptych_secret (secret) VALUES (gen_random_uuid()::text || gen_random_uuid()::text);
