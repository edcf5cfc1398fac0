"""A table with a column of every type, and what reads and writes it."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, ClassVar, Literal, NewType
from uuid import UUID, uuid4

import pytest

from diptych.event import Event, RecordedEvent
from diptych.read.ask.model import ReadModel
from diptych.read.ask.view import Gate, ServedTable
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Generation, Plan
from diptych.read.books.wait import Watcher
from diptych.read.db.database import ReadDatabase
from diptych.read.projections.columns import Indexed, Key, Scale, Searched
from diptych.read.projections.projection import TableProjection, checked
from diptych.read.projections.shape import Shape
from diptych.read.projections.statements import Statements
from diptych.read.projections.tables import create_tables, index_steps
from diptych.store.port import LogIdentity
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
GENERATION = Generation("things", 1)
LOG = LogIdentity("a log", 1)


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


class Made(Event):
    id: str


class Kept(TableProjection[Thing, Made]):
    """Things as a projection would keep them; the cases write the rows themselves."""

    name: ClassVar[str] = "things"

    def evolve(self, row: Thing | None, event: RecordedEvent[Made]) -> Thing | None:
        return row


class Things:
    def __init__(self, read_db: ReadDatabase) -> None:
        self.read_db: ReadDatabase = read_db
        gate = Gate(read_db, checked(Kept()), Watcher(read_db, LOG))
        self.model: ReadModel[Thing] = ReadModel(ServedTable(Kept(), gate))
        self.statements: Statements = Statements(SHAPE, "things_v1")

    async def put(self, *rows: Thing, position: int = 1) -> None:
        async with self.read_db.begin() as connection:
            await self.statements.upsert(connection, [(row, position + n) for n, row in enumerate(rows)])


def thing(id: str, name: str = "x", **more: Any) -> Thing:
    return Thing(id=id, name=name, colour=more.pop("colour", Colour.RED), **more)


async def things_in(read_db: ReadDatabase) -> Things:
    """An empty table of things, served."""
    async with read_db.begin() as connection:
        await create_tables(connection, SHAPE, "things_v1")
        for step in index_steps(SHAPE, "things_v1"):
            await step(connection)
        await checkpoint.add(connection, GENERATION, LOG, Plan("{}", ""))
        await checkpoint.serve_first(connection, GENERATION)
    return Things(read_db)


class ThingsCase(ReadDatabaseCase):
    """A group of cases with a table of things."""

    @pytest.fixture
    async def things(self, read_db: ReadDatabase) -> Things:
        """An empty table."""
        return await things_in(read_db)
