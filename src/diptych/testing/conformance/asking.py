"""Pages, cursors, filters and search."""

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from diptych.errors import InvalidQuery, Malformed, NotStorable
from diptych.read.ask.order import RELEVANCE, order_of
from diptych.read.ask.page import Cursor, digest_of
from diptych.read.ask.question import Question
from diptych.testing.conformance.things import FULL, SHAPE, Colour, Count, Thing, Things, ThingsCase, thing


class Paging(ThingsCase):
    """By number and by cursor."""

    async def test_pages_are_newest_first_and_count(self, things: Things) -> None:
        await things.put(*(thing(str(n)) for n in range(45)))

        first, third = await things.model.page(), await things.model.page(page=3)

        assert [row.id for row in first.items] == [str(n) for n in range(44, 24, -1)]
        assert [row.id for row in third.items] == ["4", "3", "2", "1", "0"]
        assert (first.total, first.total_pages, third.next_cursor) == (45, 3, None)
        assert (await things.model.page(page=4)).items == []

    @pytest.mark.parametrize(
        "order_by",
        [
            *[None, "name", "-name", "day", "-day", "made_at", "-id", "colour", "-amount", "count", "at", "-lasts"],
            *[
                "rank",
                ("name", "day"),
                ("-name", "day"),
                ("day", "-rank"),
                ("-day", "-count"),
                ("rank", "-day", "id"),
                ("-id", "day"),
            ],
        ],
    )
    async def test_a_walk_by_cursor_meets_every_row_once_in_the_order_of_the_pages(
        self, things: Things, order_by: str | tuple[str, ...] | None
    ) -> None:
        days = [None, date(2026, 1, 1), date(2026, 1, 2)]
        rows = [
            thing(
                str(n),
                name="abc"[n % 3],
                day=days[n % 3],
                amount=Decimal(n % 4),
                count=Count(n % 11),
                at=time(n % 5, n % 2),
                lasts=timedelta(days=n % 3, microseconds=n % 2),
                rank=(1, 2, 10)[n % 3],
            )
            for n in range(25)
        ]
        await things.put(*rows)

        whole = (await things.model.page(order_by=order_by, page_size=100)).items
        walked: list[Thing] = []
        page = await things.model.page(order_by=order_by, page_size=4)
        while True:
            walked += page.items
            if page.next_cursor is None:
                break
            page = await things.model.page(order_by=order_by, page_size=4, cursor=page.next_cursor)
            assert page.total is None

        assert walked == whole == in_order(rows, order_by)
        assert [row async for row in things.model.stream(order_by=order_by)] == whole

    @pytest.mark.parametrize("order_by", ["day", "-day"])
    async def test_nulls_come_last_either_way_round(self, things: Things, order_by: str) -> None:
        await things.put(thing("none"), thing("some", day=date(2026, 1, 1)))

        assert [row.id for row in (await things.model.page(order_by=order_by)).items] == ["some", "none"]

    async def test_filters_take_listed_columns_and_none_filters_nothing(self, things: Things) -> None:
        await things.put(thing("a", colour=Colour.BLUE), thing("b"), thing("c", day=date(2026, 1, 1)))

        async def ids(**where: Any) -> list[str]:
            return [row.id for row in (await things.model.page(where=where)).items]

        assert await ids(colour=Colour.BLUE) == ["a"]
        assert await ids(colour=None) == ["c", "b", "a"]
        assert await ids(day=date(2026, 1, 1), colour=Colour.RED) == ["c"]

    async def test_filters_take_lists_ranges_and_beginnings(self, things: Things) -> None:
        await things.put(
            thing("a", "Alfred", amount=Decimal("9.50"), day=date(2026, 1, 1)),
            thing("b", "Alfreda", amount=Decimal("10.00"), colour=Colour.BLUE),
            thing("c", "alfred", amount=Decimal("-1.00"), day=date(2026, 2, 1)),
            thing("d", "Al%_", amount=Decimal("100.00"), at=time(9)),
            thing("e", "Al\U0010ffffz", count=Count(7)),
        )

        async def ids(**where: Any) -> str:
            found = await things.model.page(where=where)
            assert found.total == len(found.items)
            return "".join(sorted(row.id for row in found.items))

        assert await ids(id=["a", "c", "nobody"]) == "ac"
        assert await ids(id=[]) == ""
        assert await ids(colour={Colour.BLUE, "red"}) == "abcde"
        assert await ids(amount={"ge": 9.5, "lt": Decimal(100)}) == "ab"
        assert await ids(amount={"gt": Decimal("9.5"), "le": Decimal(100)}) == "bd"
        assert await ids(amount={"ge": None, "lt": 0}) == "c"
        assert await ids(day={"ge": date(2026, 1, 1)}) == "ac"
        assert await ids(at={"gt": time()}) == "d"
        assert await ids(name={"prefix": "Al"}) == "abde"
        assert await ids(name={"prefix": "Alfred"}, colour=[Colour.RED]) == "a"
        assert await ids(name={"prefix": "Al%"}) == "d"
        assert await ids(name={"prefix": "Al\U0010ffff"}) == "e"
        assert await ids(name={"prefix": ""}, count={"ge": 1}) == "e"

    async def test_a_filter_of_no_meaning_is_refused(self, things: Things) -> None:
        wrongs: list[tuple[dict[str, Any], str]] = [
            ({"amount": {"between": 1}}, "use one of ge, gt, le, lt, prefix"),
            ({"count": {"prefix": "1"}}, "only text begins"),
            ({"id": [str(n) for n in range(101)]}, "at most 100"),
            ({"id": ["a", None]}, "no value"),
            ({"id": {"ge": ["a"]}}, "no value"),
            ({"note": {"prefix": "x"}}, "use one of id"),
        ]
        for where, why in wrongs:
            with pytest.raises(InvalidQuery, match=why):
                await things.model.page(where=where)

    async def test_a_page_that_is_not_to_count_does_not(self, things: Things) -> None:
        await things.put(*(thing(str(n)) for n in range(3)))

        page = await things.model.page(page_size=2, total=False)

        assert (page.total, page.total_pages, len(page.items)) == (None, None, 2)
        assert page.next_cursor is not None

    async def test_what_is_not_declared_is_refused_with_what_is(self, things: Things) -> None:
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

    async def test_a_cursor_of_another_question_or_of_nobody_is_refused(self, things: Things) -> None:
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
        ("name", "value"),
        [
            ("amount", Decimal("1.005")),
            ("amount", Decimal("1e30")),
            ("amount", "dear"),
            ("made_at", datetime(2026, 1, 1)),  # noqa: DTZ001
            ("made_at", "yesterday"),
            ("day", datetime(2026, 1, 1, tzinfo=UTC)),
            ("colour", "green"),
            ("name", 5),
            ("name", "\0"),
            ("count", 2**63),
            ("count", True),
            ("lasts", "long"),
        ],
    )
    async def test_a_value_that_no_row_can_have_is_refused_as_a_filter(
        self, things: Things, name: str, value: Any
    ) -> None:
        with pytest.raises((InvalidQuery, NotStorable)):
            await things.model.page(where={name: value})

    async def test_a_lone_surrogate_is_no_search(self, things: Things) -> None:
        with pytest.raises(NotStorable, match="lone surrogate"):
            await things.model.page(search="\ud800")

    async def test_a_cursor_that_was_changed_in_any_place_is_refused(self, things: Things) -> None:
        await things.put(*(thing(str(n), name="abc"[n]) for n in range(3)))
        cursor = (await things.model.page(page_size=1, order_by="name")).next_cursor
        assert cursor is not None

        for place, letter in enumerate(cursor):
            changed = f"{cursor[:place]}{'A' if letter != 'A' else 'B'}{cursor[place + 1 :]}"
            with pytest.raises(Malformed):
                await things.model.page(page_size=1, order_by="name", cursor=changed)
        for added in ("!", "=", "\n", "AAAA"):
            with pytest.raises(Malformed):
                await things.model.page(page_size=1, order_by="name", cursor=cursor + added)

    async def test_a_cursor_that_is_signed_with_another_key_is_refused(self, things: Things) -> None:
        await things.put(thing("a"), thing("b"))
        question = Question((), None, order_of(SHAPE, None))
        forged = Cursor(digest_of(["things", *question.told()]), (2, "b"))

        page = await things.model.page(cursor=forged.encode(things.read_db.secret))
        assert [row.id for row in page.items] == ["a"]
        with pytest.raises(Malformed, match="not made here"):
            await things.model.page(cursor=forged.encode(b"a guess"))

    async def test_a_cursor_goes_on_wherever_the_same_database_is_open(self, things: Things, tmp_path: Path) -> None:
        await things.put(thing("a"), thing("b"))
        cursor = (await things.model.page(page_size=1)).next_cursor

        async with self.open_read_db(tmp_path) as again:
            page = await Things(again).model.page(page_size=1, cursor=cursor)

        assert [row.id for row in page.items] == ["a"]


def in_order(rows: list[Thing], order_by: str | tuple[str, ...] | None) -> list[Thing]:
    """Rows that were made one after another, as a page has them."""
    asked = (order_by,) if isinstance(order_by, str) else order_by or ()
    rows = rows[::-1] if not asked or asked[-1].startswith("-") else rows
    for each in reversed(asked):
        name, descending = each.removeprefix("-"), each.startswith("-")
        nulls = [row for row in rows if getattr(row, name) is None]
        others = [row for row in rows if getattr(row, name) is not None]
        rows = [*sorted(others, key=lambda row: comparable(getattr(row, name)), reverse=descending), *nulls]
    return rows


def comparable(value: Any) -> Any:
    """A value as the databases compare it."""
    return value.value if isinstance(value, Colour) else value


class Searching(ThingsCase):
    """By words."""

    async def test_search_finds_words_phrases_and_a_begun_last_word(self, things: Things) -> None:
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
        assert await ids('"cabrales oviedo"') == []  # one column ends, the next begins
        assert await ids("cote sao") == ["full"]
        assert await ids("name:queso OR *") == []
        assert await ids("'; DROP TABLE things_v1; --") == []
        assert await ids(" ") == []

    async def test_what_answers_best_comes_first_and_the_newest_of_the_same(self, things: Things) -> None:
        await things.put(
            thing("begun", "lamps"),
            thing("long", "lamp " + " ".join("abcdefgh"), note=" ".join("ijklmnop")),
            thing("old", "lamp"),
            thing("new", "Lämp"),
            thing("twice", "lamp", note="lamp"),
            thing("none", "oak table"),
        )

        page = await things.model.page(search="lamp", order_by=RELEVANCE)

        assert [row.id for row in page.items] == ["twice", "new", "old", "begun", "long"]
        assert page.total == 5
        assert (await things.model.page(search="", order_by=RELEVANCE)).items == []
        with pytest.raises(InvalidQuery, match="no search"):
            await things.model.page(order_by=RELEVANCE)
        with pytest.raises(InvalidQuery, match="no order by relevance"):
            await anext(things.model.stream(search="lamp", order_by=RELEVANCE))

    async def test_a_walk_by_relevance_meets_once_what_stays(self, things: Things) -> None:
        await things.put(*(thing(str(n), "lamp " * (n % 5 + 1), note="oak " * (n % 7)) for n in range(60)))
        whole = await things.model.page(search="lamp", order_by=RELEVANCE, page_size=100)

        walked, made = list[str](), 60
        page = await things.model.page(search="lamp", order_by=RELEVANCE, page_size=7)
        while True:
            walked += [row.id for row in page.items]
            if page.next_cursor is None:
                break
            await things.put(thing(f"later {made}", "lamp lamp lamp"), position=(made := made + 1))
            page = await things.model.page(search="lamp", order_by=RELEVANCE, page_size=7, cursor=page.next_cursor)

        assert walked == [row.id for row in whole.items]
        second = await things.model.page(search="lamp oak", order_by=RELEVANCE, page=2, page_size=10, total=False)
        assert len(second.items) == 10

    async def test_a_page_shows_where_each_row_has_what_was_searched(self, things: Things) -> None:
        await things.put(thing("a", "Queso <Cabráles>", note="Oviedo, queso"), thing("b", "cabs & quesos"))

        page = await things.model.page(search='queso "cab', highlight=True)
        by_id = dict(zip([row.id for row in page.items], page.highlights or [], strict=True))

        assert by_id == {
            "a": {"name": "<mark>Queso</mark> &lt;<mark>Cabráles</mark>&gt;", "note": "Oviedo, <mark>queso</mark>"}
        }
        assert (await things.model.page(search="queso")).highlights is None
        assert (await things.model.page(highlight=True)).highlights is None

    async def test_a_search_of_too_many_words_is_refused_however_it_is_asked(self, things: Things) -> None:
        await things.put(thing("a", "a " * 900), thing("b", "ab"))
        model, many = things.model, " ".join(f"w{n}" for n in range(33))

        repeated = await model.page(search="a " * 400, order_by=RELEVANCE, highlight=True)

        assert [row.id for row in repeated.items] == ["a"]
        assert repeated.total == 1
        for refused in (model.page(search=many), model.page(search=many, order_by=RELEVANCE, total=False)):
            with pytest.raises(InvalidQuery, match="at most 32"):
                await refused
        with pytest.raises(InvalidQuery, match="at most 32"):
            model.stream(search=many)

    async def test_search_follows_changed_and_deleted_rows(self, things: Things) -> None:
        await things.put(thing("a", "steel lamp"), thing("b", "oak table"))
        await things.put(thing("a", "paper lamp"), position=5)
        async with things.read_db.begin() as connection:
            await things.statements.delete(connection, ["b"])

        assert (await things.model.page(search="steel")).items == []
        assert [row.id for row in (await things.model.page(search="paper")).items] == ["a"]
        assert (await things.model.page(search="oak")).items == []
