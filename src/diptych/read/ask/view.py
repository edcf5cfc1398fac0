"""
Find what is served: the tables that a projection's pointer names, and the position they are at.

Pointer, checkpoint and rows are read in one snapshot, so an answer and its
position belong together, whatever is switched or applied meanwhile.
"""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Generic, TypeVar

from sqlalchemy import MetaData, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import NotServed
from diptych.read.ask.consistency import asked
from diptych.read.ask.lookup import Lookup
from diptych.read.ask.model import Snapshot
from diptych.read.ask.question import Columns
from diptych.read.ask.scope import insist_on_all_rows
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Checkpoint, Generation
from diptych.read.books.wait import PARKED, SETTLED, Watcher, why_still
from diptych.read.db.database import ReadDatabase
from diptych.read.db.straight import Unfit
from diptych.read.projections.projection import (
    AnyProjection,
    Projection,
    TableProjection,
    Transaction,
    TwoRoundProjection,
)
from diptych.read.projections.projector import free_tables, physical_name
from diptych.read.projections.shape import Shape

P = TypeVar("P")
T = TypeVar("T")
FIRST_BUILD_S = 2.0


@dataclass(frozen=True, slots=True)
class Moment:
    """A snapshot of the read database; None for a checkpoint says that nothing is served yet."""

    connection: AsyncConnection
    checkpoint: Checkpoint | None


class Gate:
    """Opens snapshots of what a projection serves, as fresh as the query under way asked for."""

    def __init__(self, read_db: ReadDatabase, projection: AnyProjection, watcher: Watcher) -> None:
        self._read_db, self._watcher = read_db, watcher
        self._projection, self._version = projection.name, projection.version
        self.secret: bytes = read_db.secret

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[tuple[AsyncConnection, Checkpoint]]:
        """
        A snapshot that is fresh enough, or the last one when the time is up; what it is at is noted for the answer.

        Raises:
            NotServed: The first build isn't done yet.
        """
        patient = await self._is_worth_a_look()
        while True:
            async with self._now() as moment:
                if moment.checkpoint is not None and (not patient or self._is_enough(moment.checkpoint)):
                    yield moment.connection, self._noted(moment.checkpoint)
                    return
            if not patient:
                raise NotServed(self._projection, self._version)
            patient = await self._wait()

    async def read(self, look: Callable[[], Awaitable[tuple[Checkpoint, T]]]) -> T:
        """
        What a look finds that is a snapshot of its own; it is taken again until it is fresh enough or the time is up.

        Raises:
            Exception: What the look raised.
        """
        patient = await self._is_worth_a_look()
        while True:
            at, found = await look()
            if not patient or self._is_enough(at):
                self._noted(at)
                return found
            patient = await self._wait()

    def lookup(self, connection: AsyncConnection, of: Generation, columns: Columns) -> Lookup:
        """What finds rows of a generation by their keys."""
        return Lookup(self._read_db, connection.dialect, of, columns)

    async def _is_worth_a_look(self) -> bool:
        """Wait first where looking would be in vain; False when the time is up."""
        query = asked()
        lags = query is not None and self._watcher.lags(self._projection, self._version, query.position)
        return not lags or await self._wait()

    @asynccontextmanager
    async def _now(self) -> AsyncIterator[Moment]:
        async with self._read_db.snapshot() as connection:
            yield Moment(connection, await checkpoint.served(connection, self._projection, self._version))

    def _is_enough(self, found: Checkpoint) -> bool:
        query = asked()
        reached = self._watcher.reached(found, query.position, query.log) if query else self._watcher.reached(found, 0)
        return not reached.stale or reached.reason in SETTLED

    async def _wait(self) -> bool:
        """For the first build, or for the position that was asked for; False when the time is up."""
        query = asked()
        position, timeout_s, log = (query.position, query.left(), query.log) if query else (0, FIRST_BUILD_S, None)
        reached = await self._watcher.wait(self._projection, self._version, position, timeout_s, log=log)
        return not reached.stale

    def _noted(self, found: Checkpoint) -> Checkpoint:
        if (query := asked()) is not None:
            reached = self._watcher.reached(found, query.position, query.log)
            if not query.position and not reached.stale and (why := self._why_stale(found)):
                reached = replace(reached, stale=True, reason=why)
            query.served.append((reached, found.log))
        return found

    def _why_stale(self, found: Checkpoint) -> str | None:
        """Why rows that nobody asked to be fresh are older than they should be."""
        return why_still(found) or (None if found.parked_at is None else PARKED)


class ServedTable:
    """The table that a projection serves; what a `ReadModel` reads."""

    def __init__(self, projection: TableProjection | TwoRoundProjection, gate: Gate) -> None:
        self.shape: Shape = projection.shape()
        self.name: str = projection.name
        self.secret: bytes = gate.secret
        self._gate = gate
        self._tables: dict[Generation, Table] = {}
        self._lookup: Lookup | None = None

    async def get(self, key: Any) -> Any | None:
        """
        The row of a key; None where there is none.

        Raises:
            NotServed: The first build isn't done yet.
        """
        if self._lookup is not None:
            with suppress(Unfit):
                return await self._gate.read(partial(self._lookup.row, key))
        async with self._gate.snapshot() as (connection, found):
            columns = Columns(self.shape, self._table(found.of), connection.dialect)
            self._lookup = self._gate.lookup(connection, found.of, columns)
            row = (await connection.exec_driver_sql(*columns.by_key(key))).first()
        return None if row is None else columns.row(columns.values(row))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        """
        The physical table and the position it is at, in one snapshot.

        Raises:
            NotServed: The first build isn't done yet.
        """
        async with self._gate.snapshot() as (connection, found):
            yield Snapshot(connection, self._table(found.of), found.position)

    def _table(self, of: Generation) -> Table:
        if of not in self._tables:
            self._tables[of] = self.shape.table(physical_name(self.shape, of), MetaData())
        return self._tables[of]


@dataclass(frozen=True, slots=True)
class View:
    """A read-only snapshot of a free-form projection's tables, and the position they are at."""

    connection: AsyncConnection
    position: int
    _transaction: Transaction

    def table(self, name: str) -> Table:
        """The served table behind a declared one."""
        return self._transaction.table(name)


class Views(Generic[P]):
    """
    The served tables of a free-form projection, for queries of one's own.

        async with balances.snapshot() as view:
            rows = await view.connection.execute(select(view.table("balance")))
    """

    def __init__(self, projection: Projection, gate: Gate) -> None:
        self._projection, self._gate = projection, gate

    @asynccontextmanager
    async def snapshot(self, *, all_rows: bool = False) -> AsyncIterator[View]:
        """
        A snapshot that waits for what the query under way asked for.

        Args:
            all_rows: Whether the statements keep to `current_scope()` by themselves, where a policy set one.

        Raises:
            NotServed: The first build isn't done yet.
            Misuse: The query under way may see some rows only.
        """
        if not all_rows:
            insist_on_all_rows(self._projection.name)
        async with self._gate.snapshot() as (connection, found):
            tables = free_tables(self._projection, found.of, MetaData())
            yield View(connection, found.position, Transaction(connection, tables))
