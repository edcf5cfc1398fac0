"""
Keep a log in PostgreSQL: one order of many writers, at the speed of memory.

    append ── Writer ── Appender ── diptych_commit      a batch per round trip
    read … ── Readers ─ Flusher ─── diptych_flush       durable before it is told
    wait_beyond ── Watcher                              notifications, and asking

Positions are given and become visible under the order lock, so in one order for
every reader. The lock is held for work in memory only; the disk is waited for
behind it, by all writers together.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

from typing_extensions import override

from diptych.store.port import (
    Append,
    LogIdentity,
    Outcome,
    Page,
    Pruned,
    Store,
    StoredCommand,
    StoredEvent,
    StreamRow,
)
from diptych.store.postgres.appender import Appender
from diptych.store.postgres.connection import Line, Server, explain, farewell
from diptych.store.postgres.flusher import Flusher
from diptych.store.postgres.history import prune, put
from diptych.store.postgres.readers import Readers
from diptych.store.postgres.schema import prepare
from diptych.store.postgres.watcher import Watcher
from diptych.store.postgres.writer import Writer
from diptych.store.queue import Limits
from diptych.store.rules import check_append
from diptych.store.statements import statements

_BECOME = statements("postgres")["become"]


@asynccontextmanager
async def open_postgres(url: str, limits: Limits | None = None) -> AsyncIterator["PostgresStore"]:
    """
    The log in the database at *url*; its tables are made when they are missing.

    Raises:
        BadDatabase: The server or the database can't hold a log, or holds one of newer code.
        Unavailable: The server is away.
    """
    server, limits = Server.at(url), limits or Limits()
    store = PostgresStore(server, await _identity(server, limits), limits)
    try:
        yield store
    finally:
        await store.close()


class PostgresStore(Store):
    """A log in PostgreSQL; see `Store` for every method's contract."""

    def __init__(self, server: Server, identity: LogIdentity, limits: Limits) -> None:
        """Inside a running event loop, and for that loop only."""
        self._server, self._identity = server, identity
        self._patience_s = patience_s = limits.patience_s
        self._flusher = Flusher(server, patience_s)
        self._readers = Readers(server, self._flusher, patience_s)
        self._watcher = Watcher(server, f"diptych_{identity.log_id}", patience_s, self._readers.head)
        appenders = [Appender(server, patience_s) for _ in range(2 if server.prepared else 1)]
        self._writer = Writer(appenders, limits, moved_to=self._appended)
        self._closing: asyncio.Task[None] | None = None

    @property
    @override
    def identity(self) -> LogIdentity:
        return self._identity

    @property
    @override
    def connections(self) -> int:
        return self._server.connections

    @override
    async def become(self, identity: LogIdentity) -> None:
        line = Line(self._server, 5.0)
        try:
            await line.fetch(_BECOME, identity.log_id, identity.incarnation)
        except Exception as error:
            raise explain(error, self._server.name) from error
        finally:
            await line.close()
        self._identity = identity

    @override
    async def append(self, append: Append) -> Outcome:
        check_append(append)
        return await self._writer.append(append)

    @override
    async def command(self, id: str) -> Outcome | None:
        return await self._readers.command(id)

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
        page = await self._readers.page(after, limit, categories, types, durable=durable)
        self._watcher.moved_to(page.through if page.through > after else 0)
        return page

    @override
    async def read_stream(
        self, stream: str, *, after: int = 0, limit: int | None = None, durable: bool = True
    ) -> Sequence[StoredEvent]:
        return await self._readers.stream(stream, after, limit, durable=durable)

    @override
    async def streams(self, after: int = 0, *, limit: int, category: str | None = None) -> Sequence[StreamRow]:
        return await self._readers.streams(after, limit, category)

    @override
    async def commands(self, after: str = "", *, limit: int) -> Sequence[StoredCommand]:
        return await self._readers.commands(after, limit)

    @override
    async def put(self, events: Sequence[StoredEvent], commands: Sequence[StoredCommand] = ()) -> None:
        await put(self._server, self._patience_s, events, commands)
        self._watcher.appended(events[-1].position if events else 0, self._server.connections)

    @override
    async def prune_commands(self, before: int, *, after: str = "", limit: int) -> Pruned:
        return await prune(self._server, self._patience_s, before, after, limit)

    @override
    async def event_at(self, position: int) -> StoredEvent | None:
        return await self._readers.event_at(position)

    @override
    async def position_of(self, stream: str, version: int) -> int | None:
        return await self._readers.position_of(stream, version)

    @override
    async def head(self) -> int:
        return await self._readers.head()

    @override
    async def wait_beyond(self, position: int, timeout_s: float) -> None:
        await self._watcher.wait_beyond(position, timeout_s)

    @override
    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    def _appended(self, position: int, connections: int) -> None:
        self._flusher.heard_of(position, connections)
        self._watcher.appended(position, connections)

    async def _close(self) -> None:
        await self._writer.close()
        await self._watcher.close()
        await self._readers.close()
        await self._flusher.close()


async def _identity(server: Server, limits: Limits) -> LogIdentity:
    try:
        connection = await server.connect(limits.patience_s)
        try:
            return await prepare(connection, server)
        finally:
            await farewell(connection)
    except Exception as error:
        raise explain(error, server.name) from error
