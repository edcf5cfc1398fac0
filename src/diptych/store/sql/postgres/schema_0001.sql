-- The log as it is first made. A released schema file is never edited: add schema_0002.sql.
-- Text sorts by code point, so that no order depends on the server's locale.

CREATE TABLE diptych_event (
    position        bigint   NOT NULL,
    stream          text     COLLATE "C" NOT NULL,
    category        text     COLLATE "C" NOT NULL,
    version         bigint   NOT NULL,
    type            text     COLLATE "C" NOT NULL,
    schema_version  integer  NOT NULL,
    id              text     COLLATE "C" NOT NULL,
    payload         bytea    NOT NULL,
    metadata        bytea    NOT NULL,
    recorded_at     bigint   NOT NULL,
    CONSTRAINT diptych_event_position PRIMARY KEY (position),
    CONSTRAINT diptych_event_stream_version UNIQUE (stream, version),
    CONSTRAINT diptych_event_id UNIQUE (id),
    CONSTRAINT diptych_event_counts_from_one CHECK (position >= 1 AND version >= 1)
);

CREATE INDEX diptych_event_category_position ON diptych_event (category, position);

CREATE INDEX diptych_event_type_position ON diptych_event (type, position);

CREATE TABLE diptych_command (
    id           text    COLLATE "C" NOT NULL,
    digest       bytea,
    result       bytea   NOT NULL,
    stream       text    COLLATE "C" NOT NULL,
    version      bigint  NOT NULL,
    position     bigint  NOT NULL,
    recorded_at  bigint  NOT NULL,
    CONSTRAINT diptych_command_id PRIMARY KEY (id)
);

CREATE TABLE diptych_log (
    single          boolean  NOT NULL DEFAULT true,
    log_id          text     NOT NULL,
    incarnation     bigint   NOT NULL,
    schema_version  integer  NOT NULL,
    CONSTRAINT diptych_log_is_one PRIMARY KEY (single),
    CONSTRAINT diptych_log_has_one_row CHECK (single)
);

CREATE FUNCTION diptych_event_never_changes() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'an event never changes: % refused', TG_OP USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER diptych_event_never_changes BEFORE UPDATE OR DELETE OR TRUNCATE ON diptych_event
    FOR EACH STATEMENT EXECUTE FUNCTION diptych_event_never_changes();

-- Append a batch in one transaction, in an order that no reader ever sees otherwise.
--
-- The order lock comes before any look at the log: each statement behind it sees all that was
-- committed before, so positions are taken from the log's end and become visible in their order.
-- Then ids, then versions, then positions, then the rows. One append that is refused doesn't touch
-- the others. No id occurs twice in a batch.
--
-- An append has a place in each array that begins with a_, an entry for each of its streams in
-- those with s_, and an event for each in those with e_, all in order.
--   s_expected: a version, -1 for any, -2 for a stream that exists.
--   statuses: 0 appended, 1 its command is known, 2 one of its events is known, 3 its stream
--   (faults, its number in s_) has another category (wrong_categories), 4 another version.
--   ends, end_positions: each stream's version after the append, and where that is.
--   before, heads: the log's end before the batch, and after each of its appends.
--   head_id, at: the id at the log's end, and the time that was recorded.
CREATE FUNCTION diptych_append(
    synchronous boolean, patience_ms integer,
    a_entries integer[], a_commands text[], a_digests bytea[], a_results bytea[], a_streams text[], a_versions bigint[],
    streams text[], s_number integer[], s_category text[], s_expected bigint[], s_events integer[],
    e_append integer[], e_stream text[], e_category text[], e_type text[], e_schema_version integer[], e_id text[],
    e_payload bytea[], e_metadata bytea[],
    OUT statuses smallint[], OUT faults integer[], OUT ends bigint[], OUT end_positions bigint[], OUT wrong_categories text[],
    OUT before bigint, OUT heads bigint[], OUT head_id text, OUT at bigint
)
LANGUAGE plpgsql VOLATILE
SET search_path FROM CURRENT
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
DECLARE
    versions bigint[];
    categories text[];
    positions bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(e_id)]);
    event_versions bigint[] := array_fill(NULL::bigint, ARRAY[cardinality(e_id)]);
    head bigint;
    known integer;
    first_entry integer := 1;
    last_entry integer;
    event integer := 0;
    version bigint;
    latest bigint;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'diptych_append runs in READ COMMITTED only, not in %', current_setting('transaction_isolation')
            USING ERRCODE = 'active_sql_transaction';
    END IF;
    PERFORM set_config('lock_timeout', patience_ms::text, true),
            set_config('synchronous_commit', CASE WHEN synchronous THEN 'on' ELSE 'off' END, true);
    PERFORM pg_advisory_xact_lock(1147761780, ('diptych_event'::regclass::oid::bigint - 2147483648)::integer);

    SELECT e.position, e.id, e.recorded_at INTO before, head_id, latest
    FROM diptych_event AS e ORDER BY e.position DESC LIMIT 1;
    before := coalesce(before, 0);
    head := before;
    at := greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, latest);

    statuses := array_fill(0::smallint, ARRAY[cardinality(a_entries)]);
    wrong_categories := array_fill(NULL::text, ARRAY[cardinality(a_entries)]);
    faults := array_fill(0, ARRAY[cardinality(a_entries)]);
    heads := array_fill(0::bigint, ARRAY[cardinality(a_entries)]);
    FOR known IN
        SELECT e.append FROM unnest(e_id, e_append) AS e (id, append)
        WHERE EXISTS (SELECT 1 FROM diptych_event AS d WHERE d.id = e.id)
    LOOP
        statuses[known] := 2;
    END LOOP;
    FOR known IN
        SELECT c.append FROM unnest(a_commands) WITH ORDINALITY AS c (id, append)
        WHERE c.id IS NOT NULL AND EXISTS (SELECT 1 FROM diptych_command AS d WHERE d.id = c.id)
    LOOP
        statuses[known] := 1;
    END LOOP;
    SELECT array_agg(coalesce(d.version, 0) ORDER BY s.number), array_agg(d.category ORDER BY s.number)
    INTO versions, categories
    FROM unnest(streams) WITH ORDINALITY AS s (stream, number)
    LEFT JOIN LATERAL (
        SELECT l.version, l.category FROM diptych_event AS l WHERE l.stream = s.stream ORDER BY l.version DESC LIMIT 1
    ) AS d ON true;

    ends := array_fill(0::bigint, ARRAY[cardinality(s_number)]);
    end_positions := array_fill(0::bigint, ARRAY[cardinality(s_number)]);
    FOR append IN 1 .. cardinality(a_entries) LOOP
        last_entry := first_entry + a_entries[append] - 1;
        FOR entry IN first_entry .. last_entry LOOP
            version := versions[s_number[entry]];
            ends[entry] := version;
            IF statuses[append] = 0 AND categories[s_number[entry]] <> s_category[entry] THEN
                statuses[append] := 3;
                faults[append] := entry;
                wrong_categories[append] := categories[s_number[entry]];
            ELSIF statuses[append] = 0 AND s_expected[entry] <> version AND s_expected[entry] <> -1
                AND NOT (s_expected[entry] = -2 AND version > 0) THEN
                statuses[append] := 4;
                faults[append] := entry;
            END IF;
        END LOOP;
        FOR entry IN first_entry .. last_entry LOOP
            IF statuses[append] = 0 THEN
                version := versions[s_number[entry]];
                FOR number IN 1 .. s_events[entry] LOOP
                    event := event + 1;
                    head := head + 1;
                    version := version + 1;
                    positions[event] := head;
                    event_versions[event] := version;
                END LOOP;
                head_id := e_id[event];
                versions[s_number[entry]] := version;
                categories[s_number[entry]] := s_category[entry];
                ends[entry] := version;
                end_positions[entry] := head;
            ELSE
                event := event + s_events[entry];
            END IF;
        END LOOP;
        heads[append] := head;
        IF first_entry <= last_entry THEN
            a_streams[append] := streams[s_number[first_entry]];
            a_versions[append] := ends[first_entry];
        END IF;
        first_entry := last_entry + 1;
    END LOOP;

    INSERT INTO diptych_event
        (position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at)
    SELECT e.position, e.stream, e.category, e.version, e.type, e.schema_version, e.id, e.payload, e.metadata, at
    FROM unnest(positions, e_stream, e_category, event_versions, e_type, e_schema_version, e_id, e_payload, e_metadata)
        AS e (position, stream, category, version, type, schema_version, id, payload, metadata)
    WHERE e.position IS NOT NULL;

    INSERT INTO diptych_command (id, digest, result, stream, version, position, recorded_at)
    SELECT c.id, c.digest, c.result, c.stream, c.version, c.position, at
    FROM unnest(a_commands, a_digests, a_results, a_streams, a_versions, heads, statuses)
        AS c (id, digest, result, stream, version, position, status)
    WHERE c.id IS NOT NULL AND c.status = 0;
END $$;

-- Make everything durable that was committed before, in a transaction that waits for the disk.
-- False where one of the witnesses, events by position and id and commands by id, isn't there:
-- the server lost it in a crash, as nobody had waited for the disk.
CREATE FUNCTION diptych_flush(w_positions bigint[], w_ids text[], w_commands text[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET search_path FROM CURRENT
SET enable_seqscan = off
SET enable_bitmapscan = off
SET plan_cache_mode = force_generic_plan
AS $$
BEGIN
    IF EXISTS (
        SELECT 1 FROM unnest(w_positions, w_ids) AS w (position, id)
        WHERE NOT EXISTS (SELECT 1 FROM diptych_event AS d WHERE d.position = w.position AND d.id = w.id)
    ) OR EXISTS (
        SELECT 1 FROM unnest(w_commands) AS w (id)
        WHERE NOT EXISTS (SELECT 1 FROM diptych_command AS d WHERE d.id = w.id)
    ) THEN
        RETURN false;
    END IF;
    -- The commit record of a transaction that wrote something is flushed, and with it all before it.
    PERFORM set_config('synchronous_commit', 'on', true), pg_logical_emit_message(true, 'diptych', '');
    RETURN true;
END $$;
