"""
Decide appends one after another inside one open write transaction.

An append is checked to the end before any of it is written, so that a refused one
leaves nothing behind and the next ones see what the earlier ones wrote. First comes
the append's id, then the versions. Positions follow the log's end without holes.
"""

import time
from collections.abc import Sequence

import apsw
from msgspec.structs import replace

from diptych.errors import CommandIdReused
from diptych.store.port import Append, CommandRecord, Outcome, StreamAppend, StreamEnd
from diptych.store.rules import check_repeat, check_stream
from diptych.store.sqlite.queries import first_outcome
from diptych.store.statements import statements

_SQL = statements("sqlite")
_LOG_END, _STREAM_END, _PLACE_OF_EVENT = _SQL["log_end"], _SQL["stream_end"], _SQL["place_of_event"]
_APPEND_EVENT, _RECORD_COMMAND, _POSITION_OF = _SQL["append_event"], _SQL["record_command"], _SQL["position_of"]


class Transaction:
    """The log's end while nobody else can move it. The caller begins and ends the transaction."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection, self._execute = connection, connection.execute
        end: tuple[int, int] = self._execute(_LOG_END).fetchone() or (0, 0)
        self._head, recorded_at = end
        self._now = max(time.time_ns() // 1000, recorded_at)

    def append(self, append: Append) -> Outcome:
        """
        The append's outcome, written but not committed, or its first outcome if it is a repeat.

        Raises:
            Refused: Nothing was written.
        """
        if append.command and (outcome := first_outcome(self._connection, append.id)):
            check_repeat(outcome, append.command)
            return outcome
        if ends := self._stored_ends(append):
            return Outcome(ends, ends[-1].position, repeated=True)
        versions = [self._checked_version(stream) for stream in append.streams]
        written = tuple(self._write(stream, version) for stream, version in zip(append.streams, versions, strict=True))
        if append.command is None:
            return Outcome(written, self._head)
        return self._record(append.command, written)

    def _stored_ends(self, append: Append) -> Sequence[StreamEnd]:
        """Where the events of an append lie that was accepted before; empty for a new one."""
        events = [(stream.stream, event.id) for stream in append.streams for event in stream.events]
        places = [self._execute(_PLACE_OF_EVENT, (id,)).fetchone() for _, id in events]
        stored = [StreamEnd(*place) for place in places if place]
        if not stored:
            return ()
        if append.command or [end.stream for end in stored] != [stream for stream, _ in events]:
            raise CommandIdReused(append.id)
        return tuple({end.stream: end for end in stored}.values())

    def _checked_version(self, wanted: StreamAppend) -> int:
        end: tuple[int, str | None] = self._execute(_STREAM_END, (wanted.stream,)).fetchone() or (0, None)
        version, category = end
        check_stream(wanted, version=version, category=category)
        return version

    def _write(self, to: StreamAppend, version: int) -> StreamEnd:
        for event in to.events:
            version += 1
            self._head += 1
            self._execute(
                _APPEND_EVENT,
                (
                    self._head,
                    to.stream,
                    to.category,
                    version,
                    event.type,
                    event.schema_version,
                    event.id,
                    event.payload,
                    event.metadata,
                    self._now,
                ),
            )
        return StreamEnd(to.stream, version, self._head)

    def _record(self, command: CommandRecord, written: Sequence[StreamEnd]) -> Outcome:
        if written:
            command = replace(command, stream=written[0].stream, version=written[0].version)
        ends = written or self._end_named(command)
        self._execute(
            _RECORD_COMMAND,
            (command.id, command.digest, command.result, command.stream, command.version, self._head, self._now),
        )
        return Outcome(ends, self._head, command)

    def _end_named(self, command: CommandRecord) -> Sequence[StreamEnd]:
        if not command.stream:
            return ()
        row = self._execute(_POSITION_OF, (command.stream, command.version)).fetchone()
        return (StreamEnd(command.stream, command.version, row[0] if row else 0),)
