"""
Keep a log in memory: the promise of `port.py` in its plainest form, for tests and trials.

It is meaner than the real stores, so that races show in tests: it yields to the
event loop before it reads and between reading and writing, and leaves holes in
the positions. Everything is gone when it is closed.
"""

import asyncio
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from contextlib import asynccontextmanager
from itertools import islice

from msgspec.structs import replace
from typing_extensions import override

from diptych.errors import CommandIdReused, Misuse, Unavailable
from diptych.message import new_id
from diptych.store.port import (
    Append,
    CommandRecord,
    LogIdentity,
    NewEvent,
    Outcome,
    Page,
    Pruned,
    Store,
    StoredCommand,
    StoredEvent,
    StreamAppend,
    StreamEnd,
    StreamRow,
)
from diptych.store.rules import check_append, check_goes_on, check_repeat, check_stream, unknown_of
from diptych.store.waiters import Waiters

_HOLE_EVERY = 3


@asynccontextmanager
async def open_memory() -> AsyncIterator[Store]:
    """A new, empty log, gone at the end of the block."""
    store = MemoryStore()
    try:
        yield store
    finally:
        await store.close()


class MemoryStore(Store):
    """A log in lists and dictionaries; see `Store` for every method's contract."""

    def __init__(self) -> None:
        self._identity = LogIdentity(log_id=new_id(), incarnation=1)
        self._events: list[StoredEvent] = []
        self._by_id: dict[str, StoredEvent] = {}
        self._streams: dict[str, list[StoredEvent]] = {}
        self._commands: dict[str, StoredCommand] = {}
        self._one_at_a_time = asyncio.Lock()
        self._taken_over: set[asyncio.Task[Outcome]] = set()
        self._waiters = Waiters()
        self._closed = False

    @property
    @override
    def identity(self) -> LogIdentity:
        return self._identity

    @property
    @override
    def connections(self) -> int:
        return 1

    @override
    async def become(self, identity: LogIdentity) -> None:
        self._identity = identity

    @override
    async def append(self, append: Append) -> Outcome:
        self._refuse_if_closed()
        check_append(append)
        task = asyncio.create_task(self._append(append))
        self._taken_over.add(task)
        task.add_done_callback(self._taken_over.discard)
        return await asyncio.shield(task)

    async def _append(self, append: Append) -> Outcome:
        async with self._one_at_a_time:
            await asyncio.sleep(0)
            first = self._first_outcome(append)
            if first is not None:
                return first
            for stream in append.streams:
                self._check(stream)
            await asyncio.sleep(0)
            return self._commit(append)

    def _first_outcome(self, append: Append) -> Outcome | None:
        if append.command and (known := self._commands.get(append.id)):
            outcome = self._first_outcome_of(known)
            check_repeat(outcome, append.command)
            return outcome
        events = [(stream.stream, event.id) for stream in append.streams for event in stream.events]
        stored = [self._by_id[id] for _, id in events if id in self._by_id]
        if not stored:
            return None
        if append.command or [event.stream for event in stored] != [stream for stream, _ in events]:
            raise CommandIdReused(append.id)
        return self._outcome(append, repeated=True)

    def _check(self, wanted: StreamAppend) -> None:
        stream = self._streams.get(wanted.stream)
        check_stream(wanted, version=len(stream or ()), category=stream[0].category if stream else None)

    def _commit(self, append: Append) -> Outcome:
        for stream in append.streams:
            for event in stream.events:
                self._store(stream, event)
        outcome = self._outcome(append)
        if (command := outcome.command) is not None:
            self._commands[command.id] = StoredCommand(
                command.id,
                command.digest,
                command.result,
                command.stream,
                command.version,
                outcome.position,
                self._now(),
            )
        self._waiters.moved_to(self._head())
        return outcome

    def _store(self, to: StreamAppend, event: NewEvent) -> None:
        self._keep(
            StoredEvent(
                position=self._next_position(),
                stream=to.stream,
                category=to.category,
                version=len(self._streams.get(to.stream, ())) + 1,
                type=event.type,
                schema_version=event.schema_version,
                id=event.id,
                payload=event.payload,
                metadata=event.metadata,
                recorded_at=self._now(),
            )
        )

    def _keep(self, event: StoredEvent) -> None:
        self._streams.setdefault(event.stream, []).append(event)
        self._events.append(event)
        self._by_id[event.id] = event

    def _now(self) -> int:
        return max(time.time_ns() // 1000, self._recorded_at())

    def _recorded_at(self) -> int:
        return self._events[-1].recorded_at if self._events else 0

    def _next_position(self) -> int:
        hole = 1 if len(self._events) % _HOLE_EVERY == 0 else 0
        return self._head() + 1 + hole

    def _outcome(self, append: Append, *, repeated: bool = False) -> Outcome:
        ends = tuple(self._end(self._by_id[stream.events[-1].id]) for stream in append.streams)
        position = ends[-1].position if ends else self._head()
        if append.command is None:
            return Outcome(ends, position, repeated=repeated)
        if ends:
            command = replace(append.command, stream=ends[0].stream, version=ends[0].version)
            return Outcome(ends, position, command)
        return Outcome(self._ends_where(append.command.stream, append.command.version), position, append.command)

    def _first_outcome_of(self, command: StoredCommand) -> Outcome:
        record = CommandRecord(command.id, command.digest, command.result, command.stream, command.version)
        return Outcome(self._ends_where(command.stream, command.version), command.position, record, repeated=True)

    def _ends_where(self, stream: str, version: int) -> Sequence[StreamEnd]:
        stored = self._streams.get(stream, [])
        position = stored[version - 1].position if 0 < version <= len(stored) else 0
        return (StreamEnd(stream, version, position),) if stream else ()

    def _row(self, first: StoredEvent, last: StoredEvent) -> StreamRow:
        return StreamRow(first.stream, first.category, first.position, last.version, last.position, last.recorded_at)

    def _end(self, event: StoredEvent) -> StreamEnd:
        return StreamEnd(event.stream, event.version, event.position)

    @override
    async def command(self, id: str) -> Outcome | None:
        await self._look()
        known = self._commands.get(id)
        return None if known is None else self._first_outcome_of(known)

    @override
    async def read(
        self,
        after: int,
        *,
        limit: int,
        categories: Collection[str] = (),
        types: Collection[str] = (),
        durable: bool = True,
    ) -> Page:
        await self._look()
        wanted = (
            event
            for event in self._after(after)
            if (not categories or event.category in categories) and (not types or event.type in types)
        )
        events = tuple(islice(wanted, limit))
        through = events[-1].position if len(events) == limit else self._head()
        return Page(events, max(after, through))

    @override
    async def read_stream(
        self, stream: str, *, after: int = 0, limit: int | None = None, durable: bool = True
    ) -> Sequence[StoredEvent]:
        await self._look()
        return tuple(self._streams.get(stream, [])[after : None if limit is None else after + limit])

    @override
    async def streams(self, after: int = 0, *, limit: int, category: str | None = None) -> Sequence[StreamRow]:
        await self._look()
        began = (event for event in self._after(after) if event.version == 1 and category in (None, event.category))
        return tuple(self._row(first, self._streams[first.stream][-1]) for first in islice(began, limit))

    @override
    async def commands(self, after: str = "", *, limit: int) -> Sequence[StoredCommand]:
        await self._look()
        return tuple(self._commands[id] for id in sorted(id for id in self._commands if id > after)[:limit])

    @override
    async def put(self, events: Sequence[StoredEvent], commands: Sequence[StoredCommand] = ()) -> None:
        await self._look()
        ends = {event.stream: (event.version, event.category) for event in self._events}
        check_goes_on(events, head=self._head(), recorded_at=self._recorded_at(), ends=ends)
        if len(self._by_id.keys() | {event.id for event in events}) != len(self._by_id) + len(events):
            raise Misuse("an event is never replaced: an id is known")
        new = unknown_of(commands, self._commands)
        for event in events:
            self._keep(event)
        self._commands |= {command.id: command for command in new}
        self._waiters.moved_to(self._head())

    @override
    async def prune_commands(self, before: int, *, after: str = "", limit: int) -> Pruned:
        looked = await self.commands(after, limit=limit)
        old = [command.id for command in looked if command.recorded_at < before]
        for id in old:
            self._commands.pop(id, None)
        return Pruned(len(old), looked[-1].id if looked else None)

    @override
    async def event_at(self, position: int) -> StoredEvent | None:
        await self._look()
        event = next(self._after(position - 1), None)
        return event if event is not None and event.position == position else None

    @override
    async def position_of(self, stream: str, version: int) -> int | None:
        await self._look()
        events = self._streams.get(stream, [])
        return events[version - 1].position if 0 < version <= len(events) else None

    @override
    async def head(self) -> int:
        await self._look()
        return self._head()

    @override
    async def wait_beyond(self, position: int, timeout_s: float) -> None:
        self._refuse_if_closed()
        await self._waiters.wait_beyond(position, timeout_s)

    @override
    async def close(self) -> None:
        self._closed = True
        if self._taken_over:
            await asyncio.wait(self._taken_over)
        self._waiters.close()

    def _head(self) -> int:
        return self._events[-1].position if self._events else 0

    def _after(self, position: int) -> Iterator[StoredEvent]:
        start = bisect_right(self._events, position, key=lambda event: event.position)
        return (self._events[index] for index in range(start, len(self._events)))

    async def _look(self) -> None:
        self._refuse_if_closed()
        await asyncio.sleep(0)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Unavailable("the log is closed: open it again")
