-- The bookkeeping of projections: one row a generation with its checkpoint, its
-- owner's lease and its state, and the pointer to the generation that answers queries.
-- `tables` and `code` say what it was built by.
-- Times are in microseconds since 1970, by this database's clock.
CREATE TABLE diptych_checkpoint (
    projection TEXT NOT NULL,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    position INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    log_id TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    owner TEXT,
    lease_until INTEGER NOT NULL,
    state TEXT NOT NULL,
    error TEXT,
    error_position INTEGER,
    since INTEGER,
    tables TEXT NOT NULL,
    code TEXT NOT NULL,
    CONSTRAINT diptych_checkpoint_pk PRIMARY KEY (projection, version, generation)
) STRICT;

CREATE TABLE diptych_served (
    projection TEXT NOT NULL,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    CONSTRAINT diptych_served_pk PRIMARY KEY (projection, version)
) STRICT;
