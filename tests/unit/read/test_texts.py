"""Columns go to PostgreSQL as texts where that is certain to say the same."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import BigInteger, Boolean, Column, Dialect, MetaData, Numeric, SmallInteger, Table, Text, Uuid
from sqlalchemy.dialects.postgresql.asyncpg import dialect

from diptych.errors import NotStorable
from diptych.read.projections.columns import Key, Searched, bind_all_of, bind_of
from diptych.read.projections.search import DELIMITER, words_of, words_of_each
from diptych.read.projections.shape import Shape
from diptych.read.projections.statements import _OnPostgres
from diptych.read.projections.texts import NOTHING, Texts
from diptych.testing.conformance.things import FULL, SHAPE, Colour, Part, thing

EASTERN = timezone(timedelta(hours=-5))


def postgresql() -> Dialect:
    return dialect()  # type: ignore[no-untyped-call]


def texts(shape: Shape = SHAPE) -> Texts:
    return Texts(shape, shape.table("things_v1", MetaData()), postgresql())


def said(**values: Any) -> Any:
    """What is said of the columns of a thing, by name; None where it has to go as arrays."""
    parameters = texts().of([(replace(FULL, **values), 7)])
    return parameters and dict(zip(SHAPE.names, parameters[2:], strict=False))


def test_rows_of_every_type_go_as_texts() -> None:
    rows = [(FULL, 1), (thing("a"), 2)]

    between, nothing, *columns, position, words = texts().of(rows) or ()

    assert (between, nothing, position) == (DELIMITER, NOTHING, f"1{DELIMITER}2")
    assert columns[SHAPE.names.index("day")] == f"1996-07-04{DELIMITER}{NOTHING}"
    assert words.split(DELIMITER)[1] == "'x':1"


@pytest.mark.parametrize(
    ("values", "column", "expected"),
    [
        ({"amount": Decimal(3)}, "amount", "3"),
        ({"amount": Decimal("1E+3")}, "amount", "1E+3"),
        ({"amount": Decimal("-0.50")}, "amount", "-0.50"),
        ({"made_at": datetime(2026, 1, 1, tzinfo=EASTERN)}, "made_at", "2026-01-01T05:00:00+00:00"),
        ({"parts": (Part("a\nb\u2028NaN", Decimal(1)),)}, "parts", '[{"name":"a\\nb\u2028NaN","price":"1"}]'),
        ({"parts": ()}, "parts", "[]"),
        ({"note": None}, "note", NOTHING),
        ({"parts": None}, "parts", NOTHING),
    ],
)
def test_a_value_is_said_as_the_database_reads_it(values: dict[str, Any], column: str, expected: str) -> None:
    assert said(**values)[column] == expected


@pytest.mark.parametrize(
    "values",
    [
        {"id": ""},
        {"id": "a" * 2_001},
        {"name": f"a{DELIMITER}b"},
        {"name": NOTHING},
        {"name": "a\0"},
        {"name": "\ud800"},
        {"name": 1},
        {"note": f"{DELIMITER}"},
        {"colour": "red"},
        {"amount": Decimal("0.001")},
        {"amount": Decimal("NaN")},
        {"amount": Decimal("Infinity")},
        {"amount": 1},
        {"exact": Decimal("1.234E-7")},
        {"day": date.max},
        {"day": date.min},
        {"made_at": datetime.max.replace(tzinfo=UTC)},
        {"made_at": datetime(2026, 1, 1)},  # noqa: DTZ001
        {"made_at": datetime.max.replace(tzinfo=EASTERN)},
        {"made_at": date(2026, 1, 1)},
        {"day": datetime(2026, 1, 1, tzinfo=UTC)},
        {"serial": "a"},
        {"yes": 1},
        {"count": 2**63},
        {"count": True},
        {"count": "1"},
        {"parts": object()},
    ],
)
def test_a_value_that_is_odd_is_left_to_arrays(values: dict[str, Any]) -> None:
    assert said(**values) is None


@pytest.mark.parametrize("part", [Part("\0", Decimal(1)), Part("a", Decimal("NaN"))])
def test_json_that_no_database_can_hold_is_refused(part: Part) -> None:
    with pytest.raises(NotStorable):
        said(parts=(part,))


def test_a_value_of_an_enum_is_said_by_value() -> None:
    assert said(colour=Colour.RED)["colour"] == "red"


@dataclass(frozen=True)
class Detail:
    number: int | None = None
    anything: Any = None


@dataclass(frozen=True)
class Holding:
    id: Key[str]
    given: Any
    part: Detail = Detail()
    note: Searched[str | None] = None


HOLDINGS = Shape.of(Holding, "holdings")


@pytest.mark.parametrize(
    "holding",
    [
        Holding("a", float("nan")),
        Holding("a", [float("inf")]),
        Holding("a", {"a": float("-inf")}),
        Holding("a", 1, Detail(number=float("nan"))),  # type: ignore[arg-type]
        Holding("a", 1, Detail(anything=float("nan"))),
    ],
)
def test_a_number_that_is_none_is_found_wherever_it_stands(holding: Holding) -> None:
    with pytest.raises(NotStorable):
        texts(HOLDINGS).of([(holding, 1)])


def test_null_within_json_is_said_where_it_is_none() -> None:
    parameters = texts(HOLDINGS).of([(Holding("a", {"b": None}), 1), (Holding("b", [1]), 2)])

    assert parameters is not None
    assert parameters[3] == f'{{"b":null}}{DELIMITER}[1]'


def test_json_that_brings_lines_of_its_own_is_left_to_arrays() -> None:
    assert texts(HOLDINGS).of([(Holding("a", msgspec.Raw(b"[1,\n2]")), 1), (Holding("b", None), 2)]) is None


@given(st.lists(st.sampled_from([None, "a", "null", {"b": [None]}, (), 1.5, msgspec.Raw(b"[1,\n2]")])))
def test_the_json_of_many_values_is_that_of_each(values: list[Any]) -> None:
    column = HOLDINGS.table("holdings_v1", MetaData()).c.given
    bind = bind_of(column, postgresql())

    assert bind_all_of(column, postgresql())(values) == [bind and bind(value) for value in values]


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_none_is_found_among_many_values(number: float) -> None:
    with pytest.raises(NotStorable):
        bind_all_of(HOLDINGS.table("holdings_v1", MetaData()).c.given, postgresql())([1, None, [number]])


def test_what_a_column_keeps_otherwise_than_its_type_is_left_to_arrays() -> None:
    table = Table(
        "declared",
        MetaData(),
        Column("id", Text, primary_key=True),
        Column("shown", Boolean().with_variant(SmallInteger(), "postgresql")),
        Column("serial", Uuid(native_uuid=False)),
        Column("rounded", Numeric(10, -1)),
        Column("50%", BigInteger),
    )
    shape = Shape.of_table(table, "declared")
    row = {"id": "a", "shown": True, "serial": FULL.serial, "rounded": Decimal(10), "50%": 5}

    sql, parameters = _OnPostgres(shape, shape.table("declared_v1", MetaData()), postgresql()).upserting([(row, 1)])

    assert parameters[2:] == ("a", [True], [FULL.serial and FULL.serial.hex], "10", "5", "1")
    assert '"50%"' in sql


@given(st.lists(st.tuples(st.text(max_size=300), st.none() | st.text(max_size=300)), min_size=1))
def test_the_words_of_many_rows_are_those_of_each(rows: list[tuple[str, str | None]]) -> None:
    of_each = words_of_each(list(zip(*rows, strict=True)))

    assert of_each == [words_of([text for text in row if text]) for row in rows]


@given(st.lists(st.text(alphabet="aB1 -_.,\x1f\t", max_size=600), min_size=1))
def test_the_words_of_many_plain_texts_are_those_of_each(column: list[str]) -> None:
    assert words_of_each([column]) == [words_of([text] if text else []) for text in column]
