"""
Build the tables of one generation of a projection, and apply events to them.

Physical tables carry the generation in their names, so that a next one can be
built beside the one that is being read.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Connection, MetaData, Table, inspect, quoted_name
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import BadProjection
from diptych.event import RecordedEvent
from diptych.read.checkpoint import Generation
from diptych.read.fold import fold_table, fold_two_rounds
from diptych.read.projection import AnyProjection, Projection, TableProjection, Transaction, TwoRoundProjection
from diptych.read.shape import ROW, Shape
from diptych.read.statements import Statements
from diptych.read.tables import create_indexes, create_tables, drop_tables


class Projector(ABC):
    """One generation of a projection in a read database."""

    def __init__(self, of: Generation, tables: Iterable[Table]) -> None:
        self.of = of
        self._declared = tuple(tables)

    async def check(self, connection: AsyncConnection) -> None:
        """
        Insist that its tables have the columns that the code declares.

        Raises:
            BadProjection: They have others.
        """
        for table in self._declared:
            there = await connection.run_sync(_columns_of, table.name)
            if there != frozenset(table.columns.keys()):
                raise BadProjection(
                    f"projection {self.of.projection!r} version {self.of.version} keeps {', '.join(sorted(there))} "
                    f"in {table.name}, but the code says {', '.join(sorted(table.columns.keys()))}: "
                    f"raise its version, version = {self.of.version + 1}, and new tables are built beside these"
                )

    @abstractmethod
    async def create(self, connection: AsyncConnection) -> None:
        """Make the tables, without their secondary indexes."""

    @abstractmethod
    async def index(self, connection: AsyncConnection) -> None:
        """Make the secondary indexes."""

    @abstractmethod
    async def drop(self, connection: AsyncConnection) -> None:
        """Remove the tables."""

    @abstractmethod
    async def apply(self, connection: AsyncConnection, events: Sequence[RecordedEvent[Any]]) -> None:
        """Write the effect of a batch."""


def projector(projection: AnyProjection, of: Generation) -> Projector:
    """The projector for a projection of whatever kind."""
    match projection:
        case TableProjection():
            return _OneTable(projection, of)
        case TwoRoundProjection():
            return _TwoTables(projection, of)
        case Projection():
            return _FreeForm(projection, of)
    raise BadProjection(f"{type(projection).__name__} is no projection: extend TableProjection or Projection")


class _Shaped(Projector):
    """Tables that Diptych derives from row classes."""

    def __init__(self, of: Generation, *shapes: Shape) -> None:
        self._tables = [(shape, physical_name(shape, of)) for shape in shapes]
        self._statements = [Statements(shape, name) for shape, name in self._tables]
        super().__init__(of, (each.table for each in self._statements))

    async def create(self, connection: AsyncConnection) -> None:
        for shape, name in self._tables:
            await create_tables(connection, shape, name)

    async def index(self, connection: AsyncConnection) -> None:
        for shape, name in self._tables:
            await create_indexes(connection, shape, name)

    async def drop(self, connection: AsyncConnection) -> None:
        for shape, name in self._tables:
            await drop_tables(connection, shape, name)


class _OneTable(_Shaped):
    def __init__(self, projection: TableProjection[Any, Any], of: Generation) -> None:
        super().__init__(of, projection.shape())
        self._projection = projection

    async def apply(self, connection: AsyncConnection, events: Sequence[RecordedEvent[Any]]) -> None:
        await fold_table(self._projection, connection, self._statements[0], events)


class _TwoTables(_Shaped):
    def __init__(self, projection: TwoRoundProjection[Any, Any, Any], of: Generation) -> None:
        super().__init__(of, projection.memo_shape(), projection.shape())
        self._projection = projection

    async def apply(self, connection: AsyncConnection, events: Sequence[RecordedEvent[Any]]) -> None:
        memos, rows = self._statements
        await fold_two_rounds(self._projection, connection, (memos, rows), events)


class _FreeForm(Projector):
    """Tables that the projection declares itself."""

    def __init__(self, projection: Projection[Any], of: Generation) -> None:
        self._projection = projection
        self._metadata = MetaData()
        self._tables = free_tables(projection, of, self._metadata)
        super().__init__(of, self._tables.values())

    async def create(self, connection: AsyncConnection) -> None:
        await connection.run_sync(self._metadata.create_all)
        await self._projection.clear(Transaction(connection, self._tables))

    async def index(self, connection: AsyncConnection) -> None:
        """They came with the tables: its own statements may rely on them."""

    async def drop(self, connection: AsyncConnection) -> None:
        await connection.run_sync(self._metadata.drop_all)

    async def apply(self, connection: AsyncConnection, events: Sequence[RecordedEvent[Any]]) -> None:
        tx = Transaction(connection, self._tables)
        for event in events:
            await self._projection.apply(event, tx)


def table_names(projection: AnyProjection) -> list[str]:
    """The logical names of the tables that a projection keeps."""
    match projection:
        case TableProjection():
            return [projection.shape().name]
        case TwoRoundProjection():
            return [projection.memo_shape().name, projection.shape().name]
        case Projection():
            return [table.name for table in projection.tables]
    return []


def physical_name(shape: Shape, of: Generation) -> str:
    """The name of a shape's table in a generation."""
    return f"{shape.name}{of.suffix}"


def free_tables(projection: Projection[Any], of: Generation, metadata: MetaData) -> dict[str, Table]:
    """The physical tables of a free-form projection, by their declared names."""
    return {table.name: _physical(table, of, metadata) for table in projection.tables}


def _columns_of(connection: Connection, table: str) -> frozenset[str]:
    return frozenset(column["name"] for column in inspect(connection).get_columns(table)) - {ROW}


def _physical(table: Table, of: Generation, metadata: MetaData) -> Table:
    copy = table.to_metadata(metadata, name=f"{table.name}{of.suffix}")
    for index in copy.indexes:  # their names are global in a database
        index.name = quoted_name(f"{index.name}{of.suffix}", quote=None)
    return copy
