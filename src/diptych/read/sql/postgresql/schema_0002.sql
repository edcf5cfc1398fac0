-- A generation may have several partitions, each with a checkpoint and an owner of its own; the row
-- says how far its owner saw the log. What is parked, what was ordered by hand, and which workers live.
ALTER TABLE diptych_checkpoint
    ADD COLUMN partition bigint NOT NULL DEFAULT 0,
    ADD COLUMN paused bigint NOT NULL DEFAULT 0,
    ADD COLUMN error_event_id text COLLATE "C",
    ADD COLUMN error_type text COLLATE "C",
    ADD COLUMN parked_at bigint,
    ADD COLUMN head bigint NOT NULL DEFAULT 0,
    ADD COLUMN seen_at bigint,
    ADD COLUMN behind_since bigint,
    ADD COLUMN rate double precision NOT NULL DEFAULT 0,
    ADD COLUMN kept_until bigint,
    DROP CONSTRAINT diptych_checkpoint_pk,
    ADD CONSTRAINT diptych_checkpoint_pk PRIMARY KEY (projection, version, generation, partition);

-- Events that were set aside: the one that failed, and those of its key that queue behind it, without an error.
CREATE TABLE diptych_parked (
    projection text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    generation bigint NOT NULL,
    partition bigint NOT NULL,
    key text COLLATE "C" NOT NULL,
    position bigint NOT NULL,
    event_id text COLLATE "C" NOT NULL,
    type text COLLATE "C" NOT NULL,
    error text COLLATE "C",
    tries bigint NOT NULL,
    since bigint NOT NULL,
    wanted bigint NOT NULL DEFAULT 0,
    CONSTRAINT diptych_parked_pk PRIMARY KEY (projection, version, generation, partition, key, position)
);

-- What was ordered by hand, and why.
CREATE TABLE diptych_act (
    id bigint GENERATED ALWAYS AS IDENTITY,
    at bigint NOT NULL,
    projection text COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    act text COLLATE "C" NOT NULL,
    key text COLLATE "C",
    position bigint,
    reason text COLLATE "C",
    by text COLLATE "C" NOT NULL,
    CONSTRAINT diptych_act_pk PRIMARY KEY (id)
);

-- The workers that live, and what each of them can run.
CREATE TABLE diptych_worker (
    worker text COLLATE "C" NOT NULL,
    alive_until bigint NOT NULL,
    runs text COLLATE "C" NOT NULL,
    CONSTRAINT diptych_worker_pk PRIMARY KEY (worker)
);
