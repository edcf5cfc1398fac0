"""
Look at the log over a few connections, each used by one look at a time.

Outcomes of commands, and streams that are loaded to decide from, are looked for together:
who asks while one look is under way is part of the next.

What leaves the store is durable: what was committed in memory alone is flushed
before it is told, and looked at again where a crash took it back.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, TypeVar

from diptych.errors import DiptychError, Unavailable
from diptych.store.port import Outcome, Page, StoredCommand, StoredEvent, StreamRow
from diptych.store.postgres.appender import outcome_of
from diptych.store.postgres.connection import Line, Server, explain, is_away
from diptych.store.postgres.flusher import Flusher, Witness
from diptych.store.postgres.history import command_of
from diptych.store.postgres.pages import event_of, events_after
from diptych.store.postgres.together import Together
from diptych.store.statements import statements

T = TypeVar("T")

LINES = 8
SHORT = 64  # events: what many streams are shorter than, and little enough that a long one holds up no other
_SQL = statements("postgres")


class Readers:
    """Connections for reading, made when they are first needed."""

    def __init__(self, server: Server, flusher: Flusher, patience_s: float) -> None:
        self._server, self._flusher, self._patience_s = server, flusher, patience_s
        self._idle: list[Line] = []
        self._turns = asyncio.Semaphore(LINES)
        self._outcomes = Together(self._outcomes_of, "diptych-log-outcomes")
        self._loads = Together(self._beginnings_of, "diptych-log-loads")
        self._closed = False

    async def page(
        self, after: int, limit: int, categories: Collection[str], types: Collection[str], *, durable: bool
    ) -> Page:
        """Matching events after a position and how far they reach, seen in one snapshot."""

        async def look() -> Page | None:
            connections = self._server.connections
            found = await events_after(self._fetch, after, limit, categories, types)
            if found.head is None or found.head_id is None:
                return Page((), after)
            is_full = len(found.events) == limit
            end = (found.events[-1].position, found.events[-1].id) if is_full else (found.head, found.head_id)
            if found.durable:
                self._flusher.heard_of(end[0], connections)
            stays = not durable or await self._stays(*end)
            return Page(found.events, max(after, end[0])) if stays else None

        return await self._insist(look)

    async def stream(self, stream: str, after: int, limit: int | None, *, durable: bool) -> Sequence[StoredEvent]:
        """Events of one stream after a version, in order."""
        if not durable and not after and limit is None:
            whole = await self._insist(lambda: self._loads.ask(stream))
            if len(whole) < SHORT:
                return whole

        async def look() -> Sequence[StoredEvent] | None:
            events = tuple(event_of(row) for row in await self._fetch(_SQL["read_stream"], stream, after, limit))
            stays = not durable or not events or await self._stays(events[-1].position, events[-1].id)
            return events if stays else None

        return await self._insist(look)

    async def streams(self, after: int, limit: int, category: str | None) -> Sequence[StreamRow]:
        """Streams in the order they began in."""
        how, more = ("streams", ()) if category is None else ("streams_of_category", (category,))

        async def look() -> Sequence[StreamRow] | None:
            rows = await self._fetch(_SQL[how], after, limit, *more)
            last = max(rows, key=lambda row: row["position"], default=None)
            stays = last is None or await self._stays(last["position"], last["id"])
            return tuple(StreamRow(*tuple(row)[:-1]) for row in rows) if stays else None

        return await self._insist(look)

    async def commands(self, after: str, limit: int) -> Sequence[StoredCommand]:
        """Commands in the order of their ids."""

        async def look() -> Sequence[StoredCommand] | None:
            found = tuple(command_of(tuple(row)) for row in await self._fetch(_SQL["commands"], after, limit))
            stays = not found or await self._is_kept(Witness(commands=tuple(command.id for command in found)))
            return found if stays else None

        return await self._insist(look)

    async def event_at(self, position: int) -> StoredEvent | None:
        """The event at exactly this position."""

        async def look() -> tuple[StoredEvent | None] | None:
            events = [event_of(row) for row in await self._fetch(_SQL["event_at"], position)]
            if not events:
                return (None,)
            return (events[0],) if await self._stays(position, events[0].id) else None

        return (await self._insist(look))[0]

    async def position_of(self, stream: str, version: int) -> int | None:
        """The position of a stream's version."""

        async def look() -> tuple[int | None] | None:
            rows = await self._fetch(_SQL["place_of_version"], stream, version)
            if not rows:
                return (None,)
            return (rows[0]["position"],) if await self._stays(*rows[0]) else None

        return (await self._insist(look))[0]

    async def head(self) -> int:
        """The highest position."""

        async def look() -> int | None:
            connections = self._server.connections
            (row,) = await self._fetch(_SQL["head"])
            if row["position"] is None:
                return 0
            if row["durable"]:
                self._flusher.heard_of(row["position"], connections)
            return int(row["position"]) if await self._stays(row["position"], row["id"]) else None

        return await self._insist(look)

    async def command(self, id: str) -> Outcome | None:
        """The first outcome of a command; None if it was never accepted."""

        async def look() -> tuple[Outcome | None] | None:
            outcome = await self._outcomes.ask(id)
            if outcome is None:
                return (None,)
            return (outcome,) if await self._is_kept(Witness(commands=(id,))) else None

        return (await self._insist(look))[0]

    async def close(self) -> None:
        """Let go of every connection, once it is not in use."""
        self._closed = True
        await self._outcomes.ended()
        await self._loads.ended()
        for _ in range(LINES):
            await self._turns.acquire()
        for line in self._idle:
            await line.close()

    async def _outcomes_of(self, ids: Sequence[str]) -> Sequence[Outcome | None]:
        found = {row["id"]: outcome_of(row) for row in await self._fetch(_SQL["outcomes"], ids)}
        return [found.get(id) for id in ids]

    async def _beginnings_of(self, streams: Sequence[str]) -> Sequence[Sequence[StoredEvent]]:
        """Of each stream the first events, all that it has where they are fewer than `SHORT`."""
        found: list[list[StoredEvent]] = [[] for _ in streams]
        for row in await self._fetch(_SQL["read_streams"], streams, SHORT):
            found[row["place"] - 1].append(event_of(row))
        return found

    async def _insist(self, look: Callable[[], Awaitable[T | None]]) -> T:
        """What a look saw that stays; None says that a crash took it back."""
        try:
            async with asyncio.timeout(2 * self._patience_s):
                while True:
                    if (seen := await look()) is not None:
                        return seen
        except TimeoutError as error:
            raise explain(error, self._server.name) from error

    async def _stays(self, position: int, id: str) -> bool:
        return position <= self._flusher.durable_up_to or await self._is_kept(Witness((position,), (id,)))

    async def _is_kept(self, witness: Witness) -> bool:
        """
        Whether what was just seen is durable.

        A crash in between may have taken it: what is sent again then has the same ids, at the same
        place perhaps, and another time. After one there is a new connection, and the look is repeated.
        """
        connections = self._server.connections
        try:
            return await self._flusher.flush(witness) and self._server.connections == connections
        except Exception as error:
            raise self._explained(error) from error

    async def _fetch(self, sql: str, *arguments: Any) -> list[Any]:
        if self._closed:
            raise Unavailable("the log is closed: open it again")
        async with self._turns:
            line = self._idle.pop() if self._idle else Line(self._server, self._patience_s)
            try:
                return await self._tried_twice(line, sql, arguments)
            finally:
                self._idle.append(line)

    async def _tried_twice(self, line: Line, sql: str, arguments: Sequence[Any]) -> list[Any]:
        """What was open may have been lost long ago: a new connection is tried before that is said."""
        try:
            try:
                return await line.fetch(sql, *arguments)
            except Exception as error:
                if isinstance(error, TimeoutError) or not is_away(error):
                    raise
                return await line.fetch(sql, *arguments)
        except Exception as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> Exception:
        return error if isinstance(error, DiptychError) else explain(error, self._server.name)
