"""Rows of every type, written and read through the engine's own statements."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal, localcontext
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import func, inspect, select

from diptych.errors import NotStorable
from diptych.read.projections.tables import drop_table
from diptych.testing.conformance.things import FULL, Part, Things, ThingsCase, thing

ODD = [
    "",
    "\x1f",
    "\x1e",
    "a\x1eb\x1fc",
    "NULL",
    "null",
    "\\N",
    "{a,b}",
    "'q'\"",
    "a\nb\r\u2028\x85",
    "\N{SNOWMAN}",
    " ",
]


class Rows(ThingsCase):
    """What is written comes back the same, and at one moment."""

    async def test_a_row_of_every_type_comes_back_the_same(self, things: Things) -> None:
        await things.put(FULL, thing("plain"))

        assert await things.model.get("full") == FULL
        assert str((await things.model.get("full") or FULL).amount) == "-12.30"
        assert await things.model.get("plain") == thing("plain")
        assert await things.model.get("nobody") is None
        async with things.read_db.begin() as connection:
            found = await things.statements.select_by_keys(connection, ["full", "nobody", "plain"])
        assert found == {"full": (FULL, 1), "plain": (thing("plain"), 2)}

    @pytest.mark.parametrize("at_once", [1, len(ODD)])
    async def test_texts_of_any_characters_come_back(self, things: Things, at_once: int) -> None:
        rows = [thing(f"{text}{n}", name=text, note=text or None) for n, text in enumerate(ODD)]
        for first in range(0, len(rows), at_once):
            await things.put(*rows[first : first + at_once])

        async with things.read_db.begin() as connection:
            found = await things.statements.select_by_keys(connection, [row.id for row in rows])
        assert {key: row for key, (row, _) in found.items()} == {row.id: row for row in rows}

    async def test_the_ends_of_the_calendar_are_found_where_they_are(self, things: Things) -> None:
        ends = [thing("first", day=date.min), thing("last", day=date.max, made_at=datetime.max.replace(tzinfo=UTC))]
        await things.put(*ends, thing("between", day=date(2026, 1, 1)), thing("none"))

        found = [(await things.model.page({"day": day})).items for day in (date.min, date.max)]
        ordered = await things.model.page({"day": {"ge": date.min}}, order_by="day")

        assert [*found[0], *found[1]] == ends
        assert [row.id for row in ordered.items] == ["first", "between", "last"]

    async def test_a_changed_row_keeps_the_position_it_was_made_at(self, things: Things) -> None:
        await things.put(thing("a"))
        await things.put(thing("a", name="changed"), position=9)

        async with things.read_db.begin() as connection:
            assert await things.statements.select_by_keys(connection, ["a"]) == {"a": (thing("a", name="changed"), 1)}

    @pytest.mark.parametrize("amount", [Decimal("0.001"), Decimal("1e-9")])
    async def test_more_places_than_a_column_keeps_are_refused_not_rounded(
        self, things: Things, amount: Decimal
    ) -> None:
        with pytest.raises(ValueError, match="more than 2 decimal places"):
            await things.put(thing("a", amount=amount))

        assert await things.model.get("a") is None

    @pytest.mark.parametrize(
        "value",
        [
            {"name": "a\0b"},
            {"name": "\ud800"},
            {"ratio": float("nan")},
            {"ratio": float("-inf")},
            {"parts": (Part("a\0", Decimal(1)),)},
            {"parts": (Part("a", Decimal("NaN")),)},
            {"made_at": datetime(2026, 1, 1)},  # noqa: DTZ001
            {"made_at": datetime.max.replace(tzinfo=timezone(timedelta(hours=-5)))},
            {"at": time(12, tzinfo=UTC)},
        ],
    )
    async def test_a_value_that_not_every_database_can_hold_is_refused(
        self, things: Things, value: dict[str, Any]
    ) -> None:
        with pytest.raises((NotStorable, ValueError, OverflowError)):
            await things.put(replace(thing("a"), **value))

        assert await things.model.get("a") is None

    async def test_a_time_is_an_instant_whatever_the_zone_it_is_seen_from(self, things: Things) -> None:
        twice = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
        await things.put(thing("first", made_at=twice), thing("second", made_at=twice.replace(fold=1)))

        rows = (await things.model.page(order_by="made_at")).items

        assert [(row.id, row.made_at) for row in rows] == [
            ("first", datetime(2026, 10, 25, 0, 30, tzinfo=UTC)),
            ("second", datetime(2026, 10, 25, 1, 30, tzinfo=UTC)),
        ]

    async def test_money_is_exact_whatever_the_caller_computes_with(self, things: Things) -> None:
        large = thing("a", amount=Decimal("12345678901234.56"))
        with localcontext(prec=6):
            await things.put(large)
            assert str((await things.model.get("a") or FULL).amount) == "12345678901234.56"

    async def test_money_sums_and_sorts_as_money(self, things: Things) -> None:
        await things.put(*(thing(str(n), amount=Decimal(text)) for n, text in enumerate(["10.00", "9.00", "-1.50"])))

        ordered = await things.model.page(order_by="amount")
        async with things.model.snapshot() as at:
            total = (await at.conn.execute(select(func.sum(at.table.c.amount)))).scalar_one()

        assert [str(row.amount) for row in ordered.items] == ["-1.50", "9.00", "10.00"]
        assert total == Decimal("17.50")

    @pytest.mark.parametrize("key", [2**70, "\0", "\ud800", float("nan")])
    async def test_a_key_that_no_column_can_hold_names_nothing(self, things: Things, key: Any) -> None:
        assert await things.model.get(key) is None

    async def test_a_snapshot_sees_one_moment_and_cannot_write(self, things: Things) -> None:
        await things.put(thing("a"))

        async with things.model.snapshot() as at:
            await things.put(replace(thing("a"), name="later"), thing("b"))
            names = (await at.conn.execute(select(at.table.c.name))).scalars().all()
            with pytest.raises(Exception, match="read-?only"):
                await at.conn.execute(at.table.delete())

        assert names == ["x"]
        assert (await things.model.page()).total == 2

    async def test_dropped_tables_leave_nothing_behind(self, things: Things) -> None:
        async with things.read_db.begin() as connection:
            await drop_table(connection, "things_v1")
            left = await connection.run_sync(lambda sync: inspect(sync).get_table_names())

        assert [name for name in left if name.startswith("things")] == []
