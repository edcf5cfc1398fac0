-- A generation may have several partitions, each with a checkpoint and an owner of its own; the row
-- says how far its owner saw the log. What is parked, what was ordered by hand, and which workers live.
-- SQLite changes no primary key: the table is made anew, and what it held is copied.
CREATE TABLE diptych_checkpoint_2 (
    projection TEXT NOT NULL,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    partition INTEGER NOT NULL DEFAULT 0,
    position INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    log_id TEXT NOT NULL,
    incarnation INTEGER NOT NULL,
    epoch INTEGER NOT NULL,
    owner TEXT,
    lease_until INTEGER NOT NULL,
    state TEXT NOT NULL,
    paused INTEGER NOT NULL DEFAULT 0,
    error TEXT,
    error_position INTEGER,
    error_event_id TEXT,
    error_type TEXT,
    since INTEGER,
    parked_at INTEGER,
    head INTEGER NOT NULL DEFAULT 0,
    seen_at INTEGER,
    behind_since INTEGER,
    rate REAL NOT NULL DEFAULT 0,
    kept_until INTEGER,
    tables TEXT NOT NULL,
    code TEXT NOT NULL,
    CONSTRAINT diptych_checkpoint_pk PRIMARY KEY (projection, version, generation, partition)
) STRICT;

INSERT INTO diptych_checkpoint_2
    (projection, version, generation, position, event_id, log_id, incarnation, epoch, owner, lease_until,
     state, error, error_position, since, tables, code)
SELECT projection, version, generation, position, event_id, log_id, incarnation, epoch, owner, lease_until,
       state, error, error_position, since, tables, code
FROM diptych_checkpoint;

DROP TABLE diptych_checkpoint;

ALTER TABLE diptych_checkpoint_2 RENAME TO diptych_checkpoint;

-- Events that were set aside: the one that failed, and those of its key that queue behind it, without an error.
CREATE TABLE diptych_parked (
    projection TEXT NOT NULL,
    version INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    partition INTEGER NOT NULL,
    key TEXT NOT NULL,
    position INTEGER NOT NULL,
    event_id TEXT NOT NULL,
    type TEXT NOT NULL,
    error TEXT,
    tries INTEGER NOT NULL,
    since INTEGER NOT NULL,
    wanted INTEGER NOT NULL DEFAULT 0,
    CONSTRAINT diptych_parked_pk PRIMARY KEY (projection, version, generation, partition, key, position)
) STRICT;

-- What was ordered by hand, and why.
CREATE TABLE diptych_act (
    id INTEGER NOT NULL,
    at INTEGER NOT NULL,
    projection TEXT NOT NULL,
    version INTEGER NOT NULL,
    act TEXT NOT NULL,
    key TEXT,
    position INTEGER,
    reason TEXT,
    by TEXT NOT NULL,
    CONSTRAINT diptych_act_pk PRIMARY KEY (id)
) STRICT;

-- The workers that live, and what each of them can run.
CREATE TABLE diptych_worker (
    worker TEXT NOT NULL,
    alive_until INTEGER NOT NULL,
    runs TEXT NOT NULL,
    CONSTRAINT diptych_worker_pk PRIMARY KEY (worker)
) STRICT;
