"""
Put in place what another log holds, and forget old commands: on a connection of its own, a bounded transaction a call.

Other writers, of this process too, wait meanwhile as they do for each other.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import apsw

from diptych.store.port import Pruned, StoredCommand, StoredEvent
from diptych.store.rules import check_goes_on, unknown_of
from diptych.store.sqlite.connection import connect_writer, explain, insist, prepare_writer
from diptych.store.statements import statements

_SQL = statements("sqlite")


def put(path: str, events: Sequence[StoredEvent], commands: Sequence[StoredCommand]) -> None:
    """Store events and commands as they are given; see `Store.put`."""
    with _transaction(path) as connection:
        head, recorded_at = connection.execute(_SQL["log_end"]).fetchone() or (0, 0)
        streams = {event.stream for event in events}
        ends = {stream: end for stream in streams if (end := _end(connection, stream))}
        check_goes_on(events, head=head, recorded_at=recorded_at, ends=ends)
        new = unknown_of(commands, _known(connection, commands))
        connection.executemany(_SQL["append_event"], map(_values, events))
        connection.executemany(_SQL["record_command"], map(_values, new))


def prune(path: str, before: int, after: str, limit: int) -> Pruned:
    """Forget old commands, and tell how far it looked; see `Store.prune_commands`."""
    with _transaction(path) as connection:
        through: str | None = connection.execute(_SQL["commands_through"], {"after": after, "limit": limit}).get
        connection.execute(_SQL["prune_commands"], {"after": after, "through": through, "before": before}).fetchall()
        return Pruned(connection.changes(), through)


def _end(connection: apsw.Connection, stream: str) -> tuple[int, str] | None:
    row: tuple[int, str] | None = connection.execute(_SQL["stream_end"], (stream,)).fetchone()
    return row


def _known(connection: apsw.Connection, commands: Sequence[StoredCommand]) -> dict[str, StoredCommand]:
    rows = (connection.execute(_SQL["stored_command"], (command.id,)).fetchone() for command in commands)
    return {row[0]: StoredCommand(*row) for row in rows if row is not None}


def _values(record: StoredEvent | StoredCommand) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in record.__struct_fields__)


@contextmanager
def _transaction(path: str) -> Iterator[apsw.Connection]:
    connection: apsw.Connection | None = None
    try:
        connection = connect_writer(path)
        prepare_writer(connection)
        begun = connection
        insist(lambda: begun.execute("BEGIN IMMEDIATE"))
        yield connection
        connection.execute("COMMIT")
    except apsw.Error as error:
        raise explain(error, path) from error
    finally:
        if connection is not None:
            connection.close()  # what was not committed is rolled back
