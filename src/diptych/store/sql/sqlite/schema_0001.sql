-- The log as it is first made. A released schema file is never edited: add schema_0002.sql.

CREATE TABLE event (
    position        INTEGER NOT NULL,
    stream          TEXT    NOT NULL,
    category        TEXT    NOT NULL,
    version         INTEGER NOT NULL,
    type            TEXT    NOT NULL,
    schema_version  INTEGER NOT NULL,
    id              TEXT    NOT NULL,
    payload         BLOB    NOT NULL,
    metadata        BLOB    NOT NULL,
    recorded_at     INTEGER NOT NULL,
    CONSTRAINT event_position PRIMARY KEY (position),
    CONSTRAINT event_stream_version UNIQUE (stream, version),
    CONSTRAINT event_id UNIQUE (id),
    CONSTRAINT event_counts_from_one CHECK (position >= 1 AND version >= 1)
) STRICT;

CREATE INDEX event_category_position ON event (category, position);

CREATE INDEX event_type_position ON event (type, position);

CREATE TRIGGER event_is_never_updated BEFORE UPDATE ON event
BEGIN
    SELECT RAISE(ABORT, 'an event never changes');
END;

CREATE TRIGGER event_is_never_deleted BEFORE DELETE ON event
BEGIN
    SELECT RAISE(ABORT, 'an event is never deleted');
END;

-- INSERT OR REPLACE deletes without asking the trigger above.
CREATE TRIGGER event_is_never_replaced BEFORE INSERT ON event
WHEN EXISTS (SELECT 1 FROM event WHERE position = NEW.position)
    OR EXISTS (SELECT 1 FROM event WHERE stream = NEW.stream AND version = NEW.version)
    OR EXISTS (SELECT 1 FROM event WHERE id = NEW.id)
BEGIN
    SELECT RAISE(ABORT, 'an event is never replaced');
END;

CREATE TABLE command (
    id           TEXT    NOT NULL,
    digest       BLOB,
    result       BLOB    NOT NULL,
    stream       TEXT    NOT NULL,
    version      INTEGER NOT NULL,
    position     INTEGER NOT NULL,
    recorded_at  INTEGER NOT NULL,
    CONSTRAINT command_id PRIMARY KEY (id)
) STRICT, WITHOUT ROWID;

CREATE TABLE log (
    only         INTEGER NOT NULL DEFAULT 1,
    log_id       TEXT    NOT NULL,
    incarnation  INTEGER NOT NULL,
    CONSTRAINT log_is_one PRIMARY KEY (only),
    CONSTRAINT log_has_one_row CHECK (only = 1)
) STRICT;
