-- The bookkeeping of projections: one row a generation with its checkpoint, its
-- owner's lease and its state, and the pointer to the generation that answers queries.
-- `tables` and `code` say what it was built by.
-- Times are in microseconds since 1970, by this database's clock.
CREATE TABLE diptych_checkpoint (
    projection text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    generation bigint NOT NULL,
    position bigint NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    log_id text COLLATE "C" NOT NULL,
    incarnation bigint NOT NULL,
    epoch bigint NOT NULL,
    owner text COLLATE "C",
    lease_until bigint NOT NULL,
    state text COLLATE "C" NOT NULL,
    error text COLLATE "C",
    error_position bigint,
    since bigint,
    tables text COLLATE "C" NOT NULL,
    code text COLLATE "C" NOT NULL,
    CONSTRAINT diptych_checkpoint_pk PRIMARY KEY (projection, version, generation)
);

CREATE TABLE diptych_served (
    projection text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    generation bigint NOT NULL,
    CONSTRAINT diptych_served_pk PRIMARY KEY (projection, version)
);

-- Which schema these tables have.
CREATE TABLE diptych_read (
    single boolean NOT NULL DEFAULT true,
    schema_version integer NOT NULL,
    CONSTRAINT diptych_read_pk PRIMARY KEY (single),
    CONSTRAINT diptych_read_has_one_row CHECK (single)
);
