"""Rows of every type, written and read through the engine's own statements; pages, cursors and search."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import MetaData, func, select

from diptych.errors import InvalidQuery, Malformed
from diptych.read.columns import Indexed, Key, Scale, Searched
from diptych.read.database import ReadDatabase, open_read_db
from diptych.read.model import ReadModel, Snapshot
from diptych.read.page import Cursor, digest_of
from diptych.read.shape import Shape
from diptych.read.statements import Statements, create_indexes, create_tables, drop_tables


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
    parts=(Part("a", Decimal("1.10")),),
    note="São Paulo",
)


class Fixed:
    """Things in one table, at position 100."""

    shape, name = SHAPE, "things"

    def __init__(self, read_db: ReadDatabase) -> None:
        self.read_db = read_db

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Snapshot]:
        async with self.read_db.acquire() as connection:
            yield Snapshot(connection, SHAPE.table("things_v1", MetaData()), 100)


class Things:
    def __init__(self, read_db: ReadDatabase) -> None:
        self.read_db, self.model = read_db, ReadModel[Thing](Fixed(read_db))
        self.statements = Statements(SHAPE, "things_v1")

    async def put(self, *rows: Thing, position: int = 1) -> None:
        async with self.read_db.begin() as connection:
            await self.statements.upsert(connection, [(row, position + n) for n, row in enumerate(rows)])


@pytest.fixture
async def things() -> AsyncIterator[Things]:
    async with open_read_db("sqlite:///:memory:") as read_db:
        async with read_db.begin() as connection:
            await create_tables(connection, SHAPE, "things_v1")
            await create_indexes(connection, SHAPE, "things_v1")
        yield Things(read_db)


def thing(id: str, name: str = "x", **more: Any) -> Thing:
    return Thing(id=id, name=name, colour=more.pop("colour", Colour.RED), **more)


async def test_a_row_of_every_type_comes_back_the_same(things: Things) -> None:
    await things.put(FULL, thing("plain"))

    assert await things.model.get("full") == FULL
    assert str((await things.model.get("full") or FULL).amount) == "-12.30"
    assert await things.model.get("plain") == thing("plain")
    assert await things.model.get("nobody") is None
    async with things.read_db.begin() as connection:
        found = await things.statements.select_by_keys(connection, ["full", "nobody", "plain"])
    assert found == {"full": (FULL, 1), "plain": (thing("plain"), 2)}


async def test_a_changed_row_keeps_the_position_it_was_made_at(things: Things) -> None:
    await things.put(thing("a"))
    await things.put(thing("a", name="changed"), position=9)

    async with things.read_db.begin() as connection:
        assert await things.statements.select_by_keys(connection, ["a"]) == {"a": (thing("a", name="changed"), 1)}


@pytest.mark.parametrize("amount", [Decimal("0.001"), Decimal("1e-9")])
async def test_more_places_than_a_column_keeps_are_refused_not_rounded(things: Things, amount: Decimal) -> None:
    with pytest.raises(ValueError, match="more than 2 decimal places"):
        await things.put(thing("a", amount=amount))

    assert await things.model.get("a") is None


async def test_money_sums_and_sorts_as_money(things: Things) -> None:
    await things.put(*(thing(str(n), amount=Decimal(text)) for n, text in enumerate(["10.00", "9.00", "-1.50"])))

    ordered = await things.model.page(order_by="amount")
    async with things.model.snapshot() as at:
        total = (await at.conn.execute(select(func.sum(at.table.c.amount)))).scalar_one()

    assert [str(row.amount) for row in ordered.items] == ["-1.50", "9.00", "10.00"]
    assert total == Decimal("17.50")


async def test_pages_are_newest_first_and_count(things: Things) -> None:
    await things.put(*(thing(str(n)) for n in range(45)))

    first, third = await things.model.page(), await things.model.page(page=3)

    assert [row.id for row in first.items] == [str(n) for n in range(44, 24, -1)]
    assert [row.id for row in third.items] == ["4", "3", "2", "1", "0"]
    assert (first.total, first.total_pages, third.next_cursor) == (45, 3, None)
    assert (await things.model.page(page=4)).items == []


@pytest.mark.parametrize("order_by", [None, "name", "-name", "day", "-day", "made_at", "-id", "colour", "-amount"])
async def test_a_walk_by_cursor_meets_every_row_once_in_the_order_of_the_pages(
    things: Things, order_by: str | None
) -> None:
    days = [None, date(2026, 1, 1), date(2026, 1, 2)]
    await things.put(*(thing(str(n), name="abc"[n % 3], day=days[n % 3], amount=Decimal(n % 4)) for n in range(25)))

    whole = (await things.model.page(order_by=order_by, page_size=100)).items
    walked: list[Thing] = []
    page = await things.model.page(order_by=order_by, page_size=4)
    while True:
        walked += page.items
        if page.next_cursor is None:
            break
        page = await things.model.page(order_by=order_by, page_size=4, cursor=page.next_cursor)
        assert page.total is None

    assert walked == whole
    assert len(walked) == 25


@pytest.mark.parametrize("order_by", ["day", "-day"])
async def test_nulls_come_last_either_way_round(things: Things, order_by: str) -> None:
    await things.put(thing("none"), thing("some", day=date(2026, 1, 1)))

    assert [row.id for row in (await things.model.page(order_by=order_by)).items] == ["some", "none"]


async def test_filters_take_listed_columns_and_none_filters_nothing(things: Things) -> None:
    await things.put(thing("a", colour=Colour.BLUE), thing("b"), thing("c", day=date(2026, 1, 1)))

    async def ids(**where: Any) -> list[str]:
        return [row.id for row in (await things.model.page(where=where)).items]

    assert await ids(colour=Colour.BLUE) == ["a"]
    assert await ids(colour=None) == ["c", "b", "a"]
    assert await ids(day=date(2026, 1, 1), colour=Colour.RED) == ["c"]


async def test_search_finds_words_phrases_and_a_begun_last_word(things: Things) -> None:
    await things.put(thing("a", "Queso Cabrales", note="Oviedo"), thing("b", "Queso Manchego"), FULL)

    async def ids(query: str) -> list[str]:
        found = await things.model.page(search=query)
        assert found.total == len(found.items)
        return [row.id for row in found.items]

    assert await ids("queso") == ["b", "a"]
    assert await ids("queso cab") == ["a"]
    assert await ids("cab queso") == []  # only the last word may be begun
    assert await ids('"queso cabrales"') == ["a"]
    assert await ids("oviedo cabrales") == ["a"]
    assert await ids("cote sao") == ["full"]
    assert await ids("name:queso OR *") == []
    assert await ids("'; DROP TABLE things_v1; --") == []
    assert await ids(" ") == []


async def test_search_follows_changed_and_deleted_rows(things: Things) -> None:
    await things.put(thing("a", "steel lamp"), thing("b", "oak table"))
    await things.put(thing("a", "paper lamp"), position=5)
    async with things.read_db.begin() as connection:
        await things.statements.delete(connection, ["b"])

    assert (await things.model.page(search="steel")).items == []
    assert [row.id for row in (await things.model.page(search="paper")).items] == ["a"]
    assert (await things.model.page(search="oak")).items == []


async def test_what_is_not_declared_is_refused_with_what_is(things: Things) -> None:
    refused: list[dict[str, Any]] = [
        {"where": {"note": "x"}},
        {"order_by": "note"},
        {"order_by": "name; DROP TABLE things_v1"},
    ]
    for question in refused:
        with pytest.raises(InvalidQuery, match="use one of id, name, colour"):
            await things.model.page(**question)
    wrongs: list[dict[str, Any]] = [{"page": 0}, {"page": 10**20}, {"page_size": 0}, {"page_size": 101}]
    for wrong in wrongs:
        with pytest.raises(InvalidQuery):
            await things.model.page(**wrong)


async def test_a_cursor_of_another_question_or_of_nobody_is_refused(things: Things) -> None:
    await things.put(*(thing(str(n)) for n in range(3)))
    cursor = (await things.model.page(page_size=1, order_by="name")).next_cursor
    assert cursor is not None

    with pytest.raises(InvalidQuery, match="another order or filter"):
        await things.model.page(cursor=cursor)
    with pytest.raises(InvalidQuery, match="another order or filter"):
        await things.model.page(cursor=cursor, order_by="name", where={"name": "x"})
    for nobody in ("", "x", "é", cursor[:-3], "WzFd"):
        with pytest.raises(Malformed):
            await things.model.page(cursor=nobody, order_by="name")


@pytest.mark.parametrize(
    ("position", "value", "key"), [(2**63, 1, "a"), (1, 2**70, "a"), (1, "\0", "a"), (-(2**70), 1, "a")]
)
async def test_a_forged_cursor_is_refused(things: Things, position: int, value: Any, key: str) -> None:
    await things.put(thing("a"))
    for order in ("", "name"):
        forged = Cursor(order, digest_of([{}, None]), value, position, key).encode()
        with pytest.raises(Malformed):
            await things.model.page(cursor=forged, order_by=order or None)


@pytest.mark.parametrize("key", [2**70, "\0", "\ud800", float("nan")])
async def test_a_key_that_no_column_can_hold_names_nothing(things: Things, key: Any) -> None:
    assert await things.model.get(key) is None


async def test_a_snapshot_sees_one_moment_and_cannot_write(things: Things) -> None:
    await things.put(thing("a"))

    async with things.model.snapshot() as at:
        await things.put(replace(thing("a"), name="later"), thing("b"))
        names = (await at.conn.execute(select(at.table.c.name))).scalars().all()
        with pytest.raises(Exception, match="readonly"):
            await at.conn.execute(at.table.delete())

    assert names == ["x"]
    assert (await things.model.page()).total == 2


async def test_dropped_tables_leave_nothing_behind(things: Things) -> None:
    async with things.read_db.begin() as connection:
        await drop_tables(connection, SHAPE, "things_v1")
        left = await connection.exec_driver_sql("SELECT name FROM sqlite_schema WHERE name LIKE 'things%'")

    assert left.all() == []
