"""A walk from page to page while rows are written."""

from collections.abc import Set as AbstractSet
from dataclasses import replace
from decimal import Decimal
from random import Random

import pytest
from sqlalchemy import MetaData

from diptych.read.ask.order import order_of
from diptych.read.ask.question import Columns, Question
from diptych.read.ask.scope import within
from diptych.testing.conformance.things import SHAPE, Count, Thing, Things, ThingsCase, thing


class Walking(ThingsCase):
    """By cursor, whatever is written meanwhile."""

    @pytest.mark.parametrize("seed", range(4))
    async def test_a_walk_meets_once_what_is_there_all_the_while_whatever_is_written(
        self, things: Things, seed: int
    ) -> None:
        walk = Walk(things, Random(seed), rows=300)
        await walk.begin()

        walked = [row.id for row in await walk.to_the_end(order_by=None, page_size=7)]

        assert [id for id in walked if id in walk.stayed()] == sorted(walk.stayed(), key=int, reverse=True)
        assert len(set(walked)) == len(walked)

    @pytest.mark.parametrize("order_by", ["amount", "-count", ("day", "-name")])
    async def test_a_walk_in_an_order_that_changes_meets_once_what_does_not_change(
        self, things: Things, order_by: str | tuple[str, ...]
    ) -> None:
        walk = Walk(things, Random(5), rows=300)
        await walk.begin()

        walked = [row.id for row in await walk.to_the_end(order_by=order_by, page_size=7)]

        unchanged = walk.unchanged()
        assert sorted(id for id in walked if id in unchanged) == sorted(unchanged)

    async def test_rows_keep_to_the_scope_that_they_were_asked_in_whenever_they_are_taken(self, things: Things) -> None:
        await things.put(thing("a", name="ours"), thing("b", name="theirs"))
        with within({"name": "ours"}):
            stream = things.model.stream()

        assert [row.id async for row in stream] == ["a"]

    @pytest.mark.parametrize("order_by", [None, "amount", "-amount", "-day", ("name", "-count")])
    async def test_a_place_in_an_order_is_found_by_an_index(
        self, things: Things, order_by: str | tuple[str, ...] | None
    ) -> None:
        await things.put(*(thing(str(n), amount=Decimal(n), count=Count(n), name=str(n)) for n in range(3_000)))
        question = Question((), None, order_of(SHAPE, order_by))
        place = {"amount": Decimal(7), "name": "7", "count": 7, "day": thing("").made_at.date(), "_position": 8}
        after = [place.get(sort.column, "7") for sort in question.order.sorts]

        async with things.model.snapshot() as at:
            columns = Columns(SHAPE, SHAPE.table("things_v1", MetaData()), at.conn.dialect)
            text, parameters = columns.rows(question, after, limit=20)
            explain = "EXPLAIN QUERY PLAN" if columns.is_sqlite else "EXPLAIN"
            plan = await at.conn.exec_driver_sql(f"{explain} {text}", parameters)
            told = " ".join(str(value) for row in plan for value in row)

        assert "SEARCH things_v1 USING INDEX" in told or "Index Cond" in told
        assert "Seq Scan" not in told
        assert "SCAN things_v1" not in told


class Walk:
    """Things that change under a walk: made, changed and removed between its pages."""

    def __init__(self, things: Things, random: Random, *, rows: int) -> None:
        self._things, self._random = things, random
        self._begun_with = {str(n): self._new(n) for n in range(rows)}
        self._now = dict(self._begun_with)
        self._touched: set[str] = set()
        self._removed: set[str] = set()
        self._made = rows

    async def begin(self) -> None:
        """Write what is there at first."""
        await self._things.put(*self._begun_with.values())

    async def to_the_end(
        self, *, order_by: str | tuple[str, ...] | None, page_size: int, writes: int = 5
    ) -> list[Thing]:
        """Every row that a walk meets, with so many writes after each page."""
        walked: list[Thing] = []
        cursor: str | None = None
        while True:
            page = await self._things.model.page(order_by=order_by, page_size=page_size, cursor=cursor, total=False)
            walked += page.items
            if (cursor := page.next_cursor) is None:
                return walked
            for _ in range(writes):
                await self._write()

    def stayed(self) -> AbstractSet[str]:
        """Those that were there all the while."""
        return self._begun_with.keys() - self._removed

    def unchanged(self) -> AbstractSet[str]:
        """Those that nobody wrote meanwhile."""
        return self._begun_with.keys() - self._removed - self._touched

    async def _write(self) -> None:
        id = self._random.choice(list(self._now))
        match self._random.choice(["make", "change", "remove"]):
            case "make":
                made, self._made = self._new(self._made), self._made + 1
                self._now[made.id] = made
                await self._things.put(made, position=self._made)
            case "change":
                self._touched.add(id)
                self._now[id] = replace(self._new(int(id)), id=id)
                await self._things.put(self._now[id], position=self._made)
            case _:
                self._removed.add(id)
                del self._now[id]
                async with self._things.read_db.begin() as connection:
                    await self._things.statements.delete(connection, [id])

    def _new(self, number: int) -> Thing:
        chance = self._random
        day = chance.choice([None, thing("").made_at.date()])
        name = chance.choice("abc")
        return thing(str(number), name, amount=Decimal(chance.randrange(9)), count=Count(chance.randrange(99)), day=day)
