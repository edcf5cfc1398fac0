"""
Find what is served: the tables that a projection's pointer names, and the position they are at.

Pointer, checkpoint and rows are read in one snapshot, so an answer and its
position belong together, whatever is switched or applied meanwhile.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import MetaData, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import NotServed
from diptych.read import checkpoint
from diptych.read.checkpoint import Generation
from diptych.read.consistency import note_served, wait_if_asked
from diptych.read.database import ReadDatabase
from diptych.read.projection import AnyProjection, Projection, TableProjection, Transaction, TwoRoundProjection
from diptych.read.projector import free_tables, physical_name
from diptych.read.shape import Shape
from diptych.read.wait import Watcher

P = TypeVar("P")
FIRST_BUILD_S = 2.0


class ServedTable:
    """The table that a projection serves; what a `ReadModel` reads."""

    def __init__(self, projection: TableProjection | TwoRoundProjection) -> None:
        self.shape: Shape = projection.shape()
        self.projection, self.version = projection.name, projection.version
        self._tables: dict[Generation, Table] = {}

    async def table(self, connection: AsyncConnection) -> tuple[Table, int]:
        """
        The physical table and the position it is at, in the snapshot of *connection*.

        Raises:
            NotServed: The first build isn't done yet.
        """
        of, position = await _served(connection, self.projection, self.version)
        if of not in self._tables:
            self._tables[of] = self.shape.table(physical_name(self.shape, of), MetaData())
        return self._tables[of], position


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

    def __init__(self, read_db: ReadDatabase, projection: Projection, gate: "Gate") -> None:
        self._read_db, self._projection, self._gate = read_db, projection, gate

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[View]:
        """A snapshot that waits for what the query under way asked for."""
        await self._gate.ready()
        async with self._read_db.acquire() as connection:
            of, position = await _served(connection, self._projection.name, self._projection.version)
            note_served(position)
            yield View(connection, position, Transaction(connection, free_tables(self._projection, of, MetaData())))


class Gate:
    """Lets a read through once its projection is served, and as fresh as the query asked for."""

    def __init__(self, watcher: Watcher, projection: AnyProjection) -> None:
        self._watcher, self._projection = watcher, projection
        self._open = False

    async def ready(self) -> None:
        """Wait for the first build, then for the position that was asked for; each within its time."""
        if not self._open:
            built = await self._watcher.wait(self._projection.name, self._projection.version, 0, FIRST_BUILD_S)
            self._open = not built.stale
        await wait_if_asked(self._watcher, self._projection.name, self._projection.version)


async def _served(connection: AsyncConnection, projection: str, version: int) -> tuple[Generation, int]:
    found = await checkpoint.served(connection, projection, version)
    if found is None:
        raise NotServed(projection, version)
    return found
