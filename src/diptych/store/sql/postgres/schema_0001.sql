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
    payload         text     NOT NULL,
    metadata        text     NOT NULL,
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
    result       text    NOT NULL,
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

-- Take the order lock, to the end of the transaction, and say whether that waits for the disk.
-- It comes before any look at the log: each statement behind it sees all that was committed before, so
-- positions are taken from the log's end and become visible in their order.
CREATE FUNCTION diptych_lock_order(synchronous boolean, patience_ms integer) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    setting text;
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'diptych_append runs in READ COMMITTED only, not in %', current_setting('transaction_isolation')
            USING ERRCODE = 'active_sql_transaction';
    END IF;
    setting := set_config('lock_timeout', patience_ms::text, true);
    setting := set_config('synchronous_commit', CASE WHEN synchronous THEN 'on' ELSE 'off' END, true);
    PERFORM pg_advisory_xact_lock(1147761780, ('diptych_event'::regclass::oid::bigint - 2147483648)::integer);
END $$;

-- Append a batch in one transaction, in an order that no reader ever sees otherwise.
--
-- The order lock, then ids, then versions, then positions, then the rows. No two appends of a batch have one
-- id. Where it is not to look for ids that are known, a known one breaks a constraint, and then it is to be
-- called again to look.
--
-- Lists come as text, which costs a driver far less than arrays: numbers between commas, the others
-- between delimiters, which none of them holds. There is a number in a_entries for each append, an
-- entry for each of its streams in the lists that begin with s_, an event for each in those with e_,
-- all in order; and a command for each append that has one in those with c_.
--   s_number: the stream's place in streams, where each stands once.
--   s_expected: a version, -1 for any, -2 for a stream that exists.
--   e_entry, e_nth: the event's entry in s_, and the how-manieth of it this is.
--   c_entry, c_head: the first entry of the command's append, 0 for none, and how many events the batch
--   has up to the end of that append.
--   c_digest: hexadecimal behind an x, empty for none.
--   c_stream, c_version: behind an x, what is kept of a command that appends nothing; of one that
--   does, its first stream and where that ended.
--
-- Where nothing stands against any of it, a batch is appended as one: statuses is NULL, and versions
-- has each entry's version before. Otherwise each append is judged, and one that is refused doesn't
-- touch the others:
--   statuses: 0 appended, 1 its command is known, 2 one of its events is known, 3 its stream
--   (faults, its number in s_) has another category (wrong_categories), 4 another version.
--   ends, end_positions: each stream's version after the append, and where that is.
--   heads: the log's end after each append.
-- before, head: the log's end before the batch and behind it.
CREATE FUNCTION diptych_append(
    synchronous boolean, patience_ms integer, look boolean, delimiter text,
    a_entries text,
    streams text, s_number text, s_category text, s_expected text, s_events text,
    e_append text, e_entry text, e_nth text, e_stream text, e_category text, e_type text, e_schema_version text,
    e_id text, e_payload text, e_metadata text,
    c_append text, c_entry text, c_head text, c_id text, c_digest text, c_result text, c_stream text, c_version text,
    OUT statuses smallint[], OUT faults integer[], OUT ends bigint[], OUT end_positions bigint[],
    OUT wrong_categories text[], OUT heads bigint[],
    OUT versions bigint[], OUT before bigint, OUT head bigint
)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    entries integer[] := string_to_array(a_entries, ',');
    numbers integer[] := string_to_array(s_number, ',');
    every_stream text[] := string_to_array(streams, delimiter);
    wanted text[] := string_to_array(s_category, delimiter);
    expected bigint[] := string_to_array(s_expected, ',');
    events integer[] := string_to_array(s_events, ',');
    appends integer[] := string_to_array(e_append, ',');
    ids text[] := string_to_array(e_id, delimiter);
    commands text[] := string_to_array(c_id, delimiter);
    categories text[];
    first_ends bigint[];
    positions bigint[];
    event_versions bigint[];
    at bigint;
    is_new boolean;
    is_as_expected boolean;
    known integer;
    first_entry integer := 1;
    last_entry integer;
    event integer := 0;
    version bigint;
BEGIN
    PERFORM diptych_lock_order(synchronous, patience_ms);

    SELECT coalesce(e.position, 0),
           greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, e.recorded_at),
           NOT look
               OR NOT EXISTS (SELECT 1 FROM unnest(ids) AS i (id) JOIN diptych_event AS d ON d.id = i.id)
               AND NOT EXISTS (SELECT 1 FROM unnest(commands) AS c (id) JOIN diptych_command AS d ON d.id = c.id),
           s.versions, s.categories, s.is_as_expected
    INTO before, at, is_new, versions, categories, is_as_expected
    FROM (
        SELECT array_agg(coalesce(d.version, 0) ORDER BY s.number) AS versions,
               array_agg(d.category ORDER BY s.number) AS categories,
               bool_and(
                   coalesce(d.category, s.category) = s.category
                   AND (s.expected IN (-1, coalesce(d.version, 0)) OR s.expected = -2 AND d.version IS NOT NULL)
               ) AS is_as_expected
        FROM unnest(every_stream, wanted, expected) WITH ORDINALITY AS s (stream, category, expected, number)
        LEFT JOIN LATERAL (
            SELECT l.version, l.category FROM diptych_event AS l
            WHERE l.stream = s.stream ORDER BY l.version DESC LIMIT 1
        ) AS d ON true
    ) AS s
    LEFT JOIN LATERAL (
        SELECT l.position, l.recorded_at FROM diptych_event AS l ORDER BY l.position DESC LIMIT 1
    ) AS e ON true;
    head := before;

    IF is_new AND coalesce(is_as_expected, true) AND cardinality(every_stream) = cardinality(numbers) THEN
        head := before + cardinality(ids);
    ELSE
        statuses := array_fill(0::smallint, ARRAY[cardinality(entries)]);
        faults := array_fill(0, ARRAY[cardinality(entries)]);
        heads := array_fill(0::bigint, ARRAY[cardinality(entries)]);
        wrong_categories := array_fill(NULL::text, ARRAY[cardinality(entries)]);
        first_ends := array_fill(NULL::bigint, ARRAY[cardinality(entries)]);
        ends := array_fill(0::bigint, ARRAY[cardinality(numbers)]);
        end_positions := array_fill(0::bigint, ARRAY[cardinality(numbers)]);
        positions := array_fill(NULL::bigint, ARRAY[cardinality(ids)]);
        event_versions := array_fill(NULL::bigint, ARRAY[cardinality(ids)]);
        FOR known IN
            SELECT e.append FROM unnest(ids, appends) AS e (id, append) JOIN diptych_event AS d ON d.id = e.id
        LOOP
            statuses[known] := 2;
        END LOOP;
        FOR known IN
            SELECT c.append FROM unnest(commands, string_to_array(c_append, ',')::integer[]) AS c (id, append)
            JOIN diptych_command AS d ON d.id = c.id
        LOOP
            statuses[known] := 1;
        END LOOP;
        FOR append IN 1 .. cardinality(entries) LOOP
            last_entry := first_entry + entries[append] - 1;
            FOR entry IN first_entry .. last_entry LOOP
                version := versions[numbers[entry]];
                ends[entry] := version;
                IF statuses[append] <> 0 THEN
                    CONTINUE;
                ELSIF categories[numbers[entry]] <> wanted[entry] THEN
                    statuses[append] := 3;
                    faults[append] := entry;
                    wrong_categories[append] := categories[numbers[entry]];
                ELSIF expected[entry] NOT IN (-1, version) AND NOT (expected[entry] = -2 AND version > 0) THEN
                    statuses[append] := 4;
                    faults[append] := entry;
                END IF;
            END LOOP;
            FOR entry IN first_entry .. last_entry LOOP
                IF statuses[append] <> 0 THEN
                    event := event + events[entry];
                    CONTINUE;
                END IF;
                version := ends[entry];
                FOR number IN 1 .. events[entry] LOOP
                    event := event + 1;
                    head := head + 1;
                    version := version + 1;
                    positions[event] := head;
                    event_versions[event] := version;
                END LOOP;
                versions[numbers[entry]] := version;
                categories[numbers[entry]] := wanted[entry];
                ends[entry] := version;
                end_positions[entry] := head;
            END LOOP;
            heads[append] := head;
            IF first_entry <= last_entry THEN
                first_ends[append] := ends[first_entry];
            END IF;
            first_entry := last_entry + 1;
        END LOOP;
    END IF;

    IF head > before THEN
        INSERT INTO diptych_event
            (position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at)
        SELECT coalesce(e.position, before + e.number), e.stream, e.category,
               coalesce(e.version, versions[e.entry] + e.nth), e.type, e.schema_version, e.id, e.payload, e.metadata, at
        FROM unnest(
            positions, event_versions, string_to_array(e_entry, ',')::integer[], string_to_array(e_nth, ',')::integer[],
            string_to_array(e_stream, delimiter), string_to_array(e_category, delimiter),
            string_to_array(e_type, delimiter), string_to_array(e_schema_version, ',')::integer[], ids,
            string_to_array(e_payload, delimiter), string_to_array(e_metadata, delimiter)
        ) WITH ORDINALITY AS e (
            position, version, entry, nth, stream, category, type, schema_version, id, payload, metadata, number
        )
        WHERE statuses IS NULL OR e.position IS NOT NULL;
    END IF;
    IF c_id <> '' THEN
        INSERT INTO diptych_command (id, digest, result, stream, version, position, recorded_at)
        SELECT c.id, CASE WHEN c.digest <> '' THEN decode(substr(c.digest, 2), 'hex') END, c.result, substr(c.stream, 2),
               coalesce(first_ends[c.append], versions[c.entry] + events[c.entry], c.version),
               coalesce(heads[c.append], before + c.head), at
        FROM unnest(
            string_to_array(c_append, ',')::integer[], string_to_array(c_entry, ',')::integer[],
            string_to_array(c_head, ',')::integer[], commands, string_to_array(c_digest, delimiter),
            string_to_array(c_result, delimiter), string_to_array(c_stream, delimiter),
            string_to_array(c_version, ',')::bigint[]
        ) AS c (append, entry, head, id, digest, result, stream, version)
        WHERE statuses IS NULL OR statuses[c.append] = 0;
    END IF;
    IF synchronous AND NOT (head > before OR statuses IS NULL) THEN
        -- What is told follows from what is in the log: a commit that wrote nothing would not wait for it.
        PERFORM pg_logical_emit_message(true, 'diptych', '');
    END IF;
END $$;

-- Append one event, alone in a transaction that waits for the disk: the shortest way, for who appends alone.
-- version is NULL, and nothing is written, where the stream isn't what is wanted; a known id breaks a
-- constraint. Then diptych_append tells what became of it.
--   c_id: that of the event's command, NULL where there is none.
--   version: the event's. before: the log's end before it, behind which it lies.
CREATE FUNCTION diptych_append_one(
    patience_ms integer,
    e_stream text, e_category text, expected bigint, e_type text, e_schema_version integer,
    e_id text, e_payload text, e_metadata text, c_id text, c_digest bytea, c_result text,
    OUT version bigint, OUT before bigint
)
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    at bigint;
BEGIN
    PERFORM diptych_lock_order(true, patience_ms);
    INSERT INTO diptych_event AS e
        (position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at)
    SELECT coalesce(head.position, 0) + 1, e_stream, e_category, coalesce(last.version, 0) + 1, e_type,
           e_schema_version, e_id, e_payload, e_metadata,
           greatest((extract(epoch FROM clock_timestamp()) * 1000000)::bigint, head.recorded_at)
    FROM (VALUES (1)) AS one
    LEFT JOIN LATERAL (
        SELECT l.position, l.recorded_at FROM diptych_event AS l ORDER BY l.position DESC LIMIT 1
    ) AS head ON true
    LEFT JOIN LATERAL (
        SELECT l.version, l.category FROM diptych_event AS l WHERE l.stream = e_stream ORDER BY l.version DESC LIMIT 1
    ) AS last ON true
    WHERE coalesce(last.category = e_category, true)
      AND (expected IN (-1, coalesce(last.version, 0)) OR expected = -2 AND last.version > 0)
    RETURNING e.version, e.position - 1, e.recorded_at INTO version, before, at;
    IF version IS NOT NULL AND c_id IS NOT NULL THEN
        INSERT INTO diptych_command (id, digest, result, stream, version, position, recorded_at)
        VALUES (c_id, c_digest, c_result, e_stream, version, before + 1, at);
    END IF;
END $$;

-- Append a batch, and return when it is durable. The order lock is let go before the disk is waited for.
-- Not for use inside a transaction.
--   behind: an event of the batch before, empty for none; where it isn't in the log, nothing is appended, and
--   before is NULL.
CREATE PROCEDURE diptych_commit(
    patience_ms integer, behind text, look boolean, delimiter text,
    a_entries text,
    streams text, s_number text, s_category text, s_expected text, s_events text,
    e_append text, e_entry text, e_nth text, e_stream text, e_category text, e_type text, e_schema_version text,
    e_id text, e_payload text, e_metadata text,
    c_append text, c_entry text, c_head text, c_id text, c_digest text, c_result text, c_stream text, c_version text,
    OUT statuses smallint[], OUT faults integer[], OUT ends bigint[], OUT end_positions bigint[],
    OUT wrong_categories text[], OUT heads bigint[],
    OUT versions bigint[], OUT before bigint, OUT head bigint
)
LANGUAGE plpgsql
AS $$
BEGIN
    PERFORM diptych_lock_order(false, patience_ms);
    IF behind <> '' AND NOT EXISTS (SELECT 1 FROM diptych_event AS d WHERE d.id = behind) THEN
        RETURN;
    END IF;
    SELECT a.statuses, a.faults, a.ends, a.end_positions, a.wrong_categories, a.heads, a.versions, a.before, a.head
    INTO statuses, faults, ends, end_positions, wrong_categories, heads, versions, before, head
    FROM diptych_append(
        false, patience_ms, look, delimiter, a_entries, streams, s_number, s_category, s_expected, s_events, e_append,
        e_entry, e_nth, e_stream, e_category, e_type, e_schema_version, e_id, e_payload, e_metadata, c_append, c_entry, c_head,
        c_id, c_digest, c_result, c_stream, c_version
    ) AS a;
    COMMIT;
    -- The commit record of a transaction that wrote something is flushed, and with it all before it.
    PERFORM set_config('synchronous_commit', 'on', true), pg_logical_emit_message(true, 'diptych', '');
END $$;

-- Make everything durable that was committed before, in a transaction that waits for the disk.
-- False where one of the witnesses, events by position and id and commands by id, isn't there:
-- the server lost it in a crash, as nobody had waited for the disk.
CREATE FUNCTION diptych_flush(w_positions bigint[], w_ids text[], w_commands text[]) RETURNS boolean
LANGUAGE plpgsql VOLATILE
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
