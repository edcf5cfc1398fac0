"""
Build the tables of one generation of a projection, and apply events to them.

Physical tables carry the generation in their names, so that a next one can be
built beside the one that is being read.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from textwrap import shorten
from time import monotonic
from typing import Any

import msgspec
from sqlalchemy import MetaData, Table, quoted_name
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import BadProjection
from diptych.event import RecordedEvent
from diptych.read.books.checkpoint import NOTHING, Generation, Plan
from diptych.read.projections.columns import in_words
from diptych.read.projections.fingerprint import fingerprint
from diptych.read.projections.fold import fold_table, fold_two_rounds
from diptych.read.projections.partitions import keys_of
from diptych.read.projections.projection import (
    AnyProjection,
    Projection,
    TableProjection,
    Transaction,
    TwoRoundProjection,
)
from diptych.read.projections.reaction import Reaction
from diptych.read.projections.shape import Shape
from diptych.read.projections.statements import Statements
from diptych.read.projections.tables import Step, create_tables, index_steps


class Projector(ABC):
    """One generation of a projection in a read database."""

    def __init__(self, projection: AnyProjection, of: Generation) -> None:
        self.of = of
        self._projection = projection

    @property
    def plan(self) -> Plan:
        """What this code builds the generation by."""
        tables = msgspec.json.encode(self.described(), order="sorted").decode()
        return Plan(tables, fingerprint(self._projection))

    def check(self, built: Plan, partitions: int) -> None:
        """
        Insist that tables that were built so, in so many partitions, keep what the code declares.

        Raises:
            BadProjection: They keep something else, or in other partitions.
        """
        if partitions != self._projection.partitions:
            raise BadProjection(
                f"projection {self.of.projection!r} version {self.of.version} was built in {partitions} partitions, "
                f"the code declares {self._projection.partitions}. Raise its version, version = {self.of.version + 1}, "
                "and it is built anew beside these"
            )
        differences = _differences(built.described(), self.described())
        if differences:
            raise BadProjection(
                f"projection {self.of.projection!r} version {self.of.version} was built with other columns than the "
                f"code declares: {'; '.join(differences)}. Raise its version, version = {self.of.version + 1}, "
                "and new tables are built beside these"
            )

    @abstractmethod
    def described(self) -> dict[str, dict[str, str]]:
        """What each of its tables keeps, by name."""

    @abstractmethod
    def tables(self) -> Mapping[str, Table]:
        """The physical tables, by their logical names."""

    @abstractmethod
    async def create(self, connection: AsyncConnection) -> None:
        """Make the tables, without their secondary indexes."""

    def index_steps(self) -> Sequence[Step]:
        """What makes the secondary indexes, each in a transaction of its own if need be. Default: they came first."""
        return ()

    async def index(self, connection: AsyncConnection) -> None:
        """Make the secondary indexes."""
        for step in self.index_steps():
            await step(connection)

    @abstractmethod
    async def apply(self, connection: AsyncConnection, events: Sequence[RecordedEvent[Any]], until: float) -> int:
        """
        Write the effect of a batch.

        Args:
            until: When to stop, by `monotonic`, where events are applied one by one.

        Returns:
            How many events were applied: the first ones, at least one.
        """


def projector(projection: AnyProjection, of: Generation, partition: int = 0) -> Projector:
    """The projector for a projection of whatever kind, or for one partition of it."""
    match projection:
        case TableProjection():
            return _OneTable(projection, of, partition)
        case TwoRoundProjection():
            return _TwoTables(projection, of)
        case Projection():
            return _FreeForm(projection, of)
        case Reaction():
            return _NoTables(projection, of)
    raise BadProjection(f"{type(projection).__name__} is no projection: extend TableProjection or Projection")


class _NoTables(Projector):
    """A reaction keeps nothing: whatever it does is done before its checkpoint moves."""

    @property
    def plan(self) -> Plan:
        """Always the same: code that changed goes on where the old one was."""
        return NOTHING

    def described(self) -> dict[str, dict[str, str]]:
        return {}

    def tables(self) -> Mapping[str, Table]:
        return {}

    async def create(self, connection: AsyncConnection) -> None:
        """There is nothing to make."""

    async def index(self, connection: AsyncConnection) -> None:
        """There is nothing to find."""

    async def apply(self, connection: AsyncConnection, events: Sequence[RecordedEvent[Any]], until: float) -> int:
        return len(events)


class _Shaped(Projector):
    """Tables that Diptych derives from row classes."""

    def __init__(self, projection: AnyProjection, of: Generation, *shapes: Shape) -> None:
        super().__init__(projection, of)
        self._tables = [(shape, physical_name(shape, of)) for shape in shapes]
        self._statements = [Statements(shape, name) for shape, name in self._tables]

    def described(self) -> dict[str, dict[str, str]]:
        return {name: shape.described() for shape, name in self._tables}

    def tables(self) -> Mapping[str, Table]:
        return {each.shape.name: each.table for each in self._statements}

    async def create(self, connection: AsyncConnection) -> None:
        for shape, name in self._tables:
            await create_tables(connection, shape, name)

    def index_steps(self) -> Sequence[Step]:
        return [step for shape, name in self._tables for step in index_steps(shape, name)]


class _OneTable(_Shaped):
    def __init__(self, projection: TableProjection[Any, Any], of: Generation, partition: int) -> None:
        super().__init__(projection, of, projection.shape())
        self._folds, self._mine = projection, keys_of(projection, partition)

    async def apply(self, connection: AsyncConnection, events: Sequence[RecordedEvent[Any]], until: float) -> int:
        await fold_table(self._folds, connection, self._statements[0], events, self._mine)
        return len(events)


class _TwoTables(_Shaped):
    def __init__(self, projection: TwoRoundProjection[Any, Any, Any], of: Generation) -> None:
        super().__init__(projection, of, projection.memo_shape(), projection.shape())
        self._folds = projection

    async def apply(self, connection: AsyncConnection, events: Sequence[RecordedEvent[Any]], until: float) -> int:
        memos, rows = self._statements
        await fold_two_rounds(self._folds, connection, (memos, rows), events)
        return len(events)


class _FreeForm(Projector):
    """Tables that the projection declares itself."""

    def __init__(self, projection: Projection[Any], of: Generation) -> None:
        super().__init__(projection, of)
        self._writes = projection
        self._metadata = MetaData()
        self._tables = free_tables(projection, of, self._metadata)

    def described(self) -> dict[str, dict[str, str]]:
        return {table.name: _table_told(table) for table in self._tables.values()}

    def tables(self) -> Mapping[str, Table]:
        return self._tables

    async def create(self, connection: AsyncConnection) -> None:
        await connection.run_sync(self._metadata.create_all)
        await self._writes.clear(Transaction(connection, self._tables))

    async def apply(self, connection: AsyncConnection, events: Sequence[RecordedEvent[Any]], until: float) -> int:
        tx = Transaction(connection, self._tables)
        for done, event in enumerate(events, start=1):
            await self._writes.apply(event, tx)
            if monotonic() > until:
                return done
        return len(events)


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


def _differences(built: dict[str, dict[str, str]], declared: dict[str, dict[str, str]]) -> list[str]:
    """What differs, table by table and column by column, in words."""
    return [
        f"{column} in {table} is {shorten(was, 80) if was else 'not there'}, "
        f"declared is {shorten(now, 80) if now else 'none'}"
        for table in sorted(built.keys() | declared.keys())
        for column in sorted(built.get(table, {}).keys() | declared.get(table, {}).keys())
        if (was := built.get(table, {}).get(column)) != (now := declared.get(table, {}).get(column))
    ]


def _table_told(table: Table) -> dict[str, str]:
    """What a table of a free-form projection keeps, its indexes included."""
    columns = {
        column.name: in_words(column.type)
        + (" key" if column.primary_key else "")
        + (" or NULL" if column.nullable else "")
        for column in table.columns
    }
    indexes = {str(index.name): f"index of {', '.join(map(str, index.expressions))}" for index in table.indexes}
    return columns | indexes


def _physical(table: Table, of: Generation, metadata: MetaData) -> Table:
    copy = table.to_metadata(metadata, name=f"{table.name}{of.suffix}")
    for index in copy.indexes:  # their names are global in a database
        index.name = quoted_name(f"{index.name}{of.suffix}", quote=None)
    return copy
