"""
Keep a log in one SQLite file, which several processes may use at once.

    append ── Writer ── one thread ── Committer ── Transaction      a batch per hop and sync
    read … ── Readers ── a few threads ── queries                   a look per hop
    wait_beyond ── Watcher                                          a look at the WAL file

An answered append is synced to the disk, and nothing is seen that is not. Commits
come one after another, so positions have no order but theirs. What happens after a
crash is SQLite's own recovery.
"""

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import apsw
from typing_extensions import override

from diptych.store.location import place_for
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
from diptych.store.queue import Limits
from diptych.store.rules import check_append
from diptych.store.sqlite import queries
from diptych.store.sqlite.commit import Committer
from diptych.store.sqlite.connection import connect_writer, explain, insist, prepare_writer
from diptych.store.sqlite.history import prune, put
from diptych.store.sqlite.reader import Readers, in_own_thread
from diptych.store.sqlite.schema import become, check_file, make_tables
from diptych.store.sqlite.watcher import Watcher
from diptych.store.sqlite.writer import Writer


@asynccontextmanager
async def open_sqlite(path: str, limits: Limits | None = None) -> AsyncIterator["SqliteStore"]:
    """
    The log in the file at *path*, which is made, with its folder, when it is missing.

    Raises:
        BadDatabase: The file is no log, was made by newer code, or lies where a log can't.
        Unavailable: The file can't be used now.
    """
    real = place_for(path)
    connection, identity = await in_own_thread(lambda: _open(real))
    store = SqliteStore(real, connection, identity, limits or Limits())
    try:
        yield store
    finally:
        await store.close()


class SqliteStore(Store):
    """A log in a SQLite file; see `Store` for every method's contract."""

    def __init__(self, path: str, connection: apsw.Connection, identity: LogIdentity, limits: Limits) -> None:
        """Take over the write connection; inside a running event loop, and for that loop only."""
        self._path, self._identity = path, identity
        self._readers = Readers(path)
        self._watcher = Watcher(Path(f"{path}-wal"), lambda: self._readers.ask(queries.read_head))
        committer = Committer(connection, patience_s=limits.patience_s)
        self._writer = Writer(committer, limits, moved_to=self._watcher.moved_to)
        self._closing: asyncio.Task[None] | None = None

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
        await in_own_thread(lambda: become(self._path, identity))
        self._identity = identity

    @override
    async def append(self, append: Append) -> Outcome:
        check_append(append)
        return await self._writer.append(append)

    @override
    async def command(self, id: str) -> Outcome | None:
        return await self._readers.glance(lambda connection: queries.first_outcome(connection, id))

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
        page = await self._readers.ask(
            lambda connection: queries.read_page(connection, after, limit, categories, types)
        )
        self._watcher.looked(page.through if page.through > after else 0)
        return page

    @override
    async def read_stream(
        self, stream: str, *, after: int = 0, limit: int | None = None, durable: bool = True
    ) -> Sequence[StoredEvent]:
        return await self._readers.ask(lambda connection: queries.read_stream(connection, stream, after, limit))

    @override
    async def streams(self, after: int = 0, *, limit: int, category: str | None = None) -> Sequence[StreamRow]:
        return await self._readers.ask(lambda connection: queries.read_streams(connection, after, limit, category))

    @override
    async def commands(self, after: str = "", *, limit: int) -> Sequence[StoredCommand]:
        return await self._readers.ask(lambda connection: queries.read_commands(connection, after, limit))

    @override
    async def put(self, events: Sequence[StoredEvent], commands: Sequence[StoredCommand] = ()) -> None:
        await in_own_thread(lambda: put(self._path, events, commands))
        self._watcher.moved_to(events[-1].position if events else 0)

    @override
    async def prune_commands(self, before: int, *, after: str = "", limit: int) -> Pruned:
        return await in_own_thread(lambda: prune(self._path, before, after, limit))

    @override
    async def event_at(self, position: int) -> StoredEvent | None:
        return await self._readers.ask(lambda connection: queries.event_at(connection, position))

    @override
    async def position_of(self, stream: str, version: int) -> int | None:
        return await self._readers.ask(lambda connection: queries.position_of(connection, stream, version))

    @override
    async def head(self) -> int:
        return await self._readers.ask(queries.read_head)

    @override
    async def wait_beyond(self, position: int, timeout_s: float) -> None:
        await self._watcher.wait_beyond(position, timeout_s)

    @override
    async def close(self) -> None:
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        await self._writer.finish()
        await self._watcher.close()
        await self._readers.close()
        await self._writer.close()


def _open(path: str) -> tuple[apsw.Connection, LogIdentity]:
    connection: apsw.Connection | None = None
    try:
        connection = connect_writer(path)
        insist(lambda: check_file(connection))
        prepare_writer(connection)
        return connection, make_tables(connection)
    except Exception as error:
        if connection is not None:
            connection.close()
        raise explain(error, path) from error
