"""A table with a column of every type, and what reads and writes it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal, NewType
from uuid import UUID, uuid4

import pytest
from sqlalchemy import MetaData

from diptych.read.columns import Indexed, Key, Scale, Searched
from diptych.read.database import ReadDatabase
from diptych.read.model import ReadModel, Snapshot
from diptych.read.shape import Shape
from diptych.read.statements import Statements
from diptych.read.tables import create_indexes, create_tables
from diptych.testing.conformance.read_case import ReadDatabaseCase

Count = NewType("Count", int)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True)
class Part:
    name: str
    price: Decimal


@dataclass(frozen=True, kw_only=True)
class Thing:
    id: Key[str]
    name: Indexed[Searched[str]]
    colour: Indexed[Colour]
    amount: Indexed[Decimal] = Decimal("0.00")
    exact: Annotated[Decimal, Scale(6)] = Decimal("0.000000")
    made_at: Indexed[datetime] = datetime(2026, 1, 1, tzinfo=UTC)
    day: Indexed[date | None] = None
    serial: UUID | None = None
    ratio: float = 0.0
    yes: bool = False
    count: Indexed[Count] = Count(0)
    at: Indexed[time] = time()
    lasts: Indexed[timedelta] = timedelta()
    rank: Indexed[Literal[1, 2, 10]] = 1
    parts: tuple[Part, ...] = ()
    note: Searched[str | None] = None


SHAPE = Shape.of(Thing, "things")


FULL = Thing(
    id="full",
    name="Côte de Blaye",
    colour=Colour.BLUE,
    amount=Decimal("-12.30"),
    exact=Decimal("0.000001"),
    made_at=datetime(1969, 12, 31, 23, 59, 59, 999999, UTC),
    day=date(1996, 7, 4),
    serial=uuid4(),
    ratio=0.1,
    yes=True,
    count=Count(-3),
    at=time(23, 59, 59, 999999),
    lasts=timedelta(days=-1, microseconds=1),
    rank=10,
    parts=(Part("a", Decimal("1.10")),),
    note="São Paulo",
)


class Fixed:
    """Things in one table, at position 100."""

    shape: Shape = SHAPE
    name: str = "things"

    def __init__(self, read_db: ReadDatabase) -> None:
        self.read_db = read_db

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        async with self.read_db.acquire() as connection:
            yield Snapshot(connection, SHAPE.table("things_v1", MetaData()), 100)


class Things:
    def __init__(self, read_db: ReadDatabase) -> None:
        self.read_db: ReadDatabase = read_db
        self.model: ReadModel[Thing] = ReadModel(Fixed(read_db))
        self.statements: Statements = Statements(SHAPE, "things_v1")

    async def put(self, *rows: Thing, position: int = 1) -> None:
        async with self.read_db.begin() as connection:
            await self.statements.upsert(connection, [(row, position + n) for n, row in enumerate(rows)])


def thing(id: str, name: str = "x", **more: Any) -> Thing:
    return Thing(id=id, name=name, colour=more.pop("colour", Colour.RED), **more)


class ThingsCase(ReadDatabaseCase):
    """A group of cases with a table of things."""

    @pytest.fixture
    async def things(self, read_db: ReadDatabase) -> Things:
        """An empty table."""
        async with read_db.begin() as connection:
            await create_tables(connection, SHAPE, "things_v1")
            await create_indexes(connection, SHAPE, "things_v1")
        return Things(read_db)
