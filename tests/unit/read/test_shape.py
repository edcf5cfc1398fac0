from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, NewType

import msgspec
import pytest
from sqlalchemy import CheckConstraint, Column, Index, MetaData, String, Table
from typing_extensions import TypeAliasType

from diptych.errors import BadProjection
from diptych.read.projections.columns import Indexed, Key, Mark, Searched
from diptych.read.projections.shape import Shape


def test_what_columns_are_for_is_read_from_their_marks() -> None:
    @dataclass(frozen=True)
    class Row:
        id: Key[str]
        name: Indexed[Searched[str]]
        note: Searched[str | None] = None
        size: int = 0

    shape = Shape.of(Row, "rows")

    assert shape.key.name == "id"
    assert shape.listed == ("id", "name")
    assert shape.searched == ("name", "note")
    assert [column.name for column in shape.columns if column.optional] == ["note"]


@dataclass(frozen=True)
class NoKey:
    name: str


@dataclass(frozen=True)
class TwoKeys:
    a: Key[str]
    b: Key[str]


@dataclass(frozen=True)
class OptionalKey:
    a: Key[str | None]


@dataclass(frozen=True)
class SearchedNumber:
    a: Key[str]
    b: Searched[int]


@dataclass(frozen=True)
class Hidden:
    a: Key[str]
    _position: int


@dataclass
class Loose:
    a: Key[str]


class LooseStruct(msgspec.Struct):
    a: Key[str]


class Number(Enum):
    ONE = 1


@dataclass(frozen=True)
class Numbered:
    a: Key[str]
    b: Number


@dataclass(frozen=True)
class KeyOfParts:
    a: Key[tuple[int, int]]


@dataclass(frozen=True)
class IndexedParts:
    a: Key[str]
    b: Indexed[list[str]]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (NoKey, "has 0 keys"),
        (TwoKeys, "has 2 keys"),
        (OptionalKey, "is the key and optional"),
        (SearchedNumber, "is searched and no text"),
        (Hidden, "begin with _"),
        (dict, "is no row"),
        (Loose, "declare it with frozen=True"),
        (LooseStruct, "declare it with frozen=True"),
        (Numbered, "the values of Number are not all text"),
        (KeyOfParts, "can't be a key or indexed"),
        (IndexedParts, "can't be a key or indexed"),
    ],
)
def test_a_row_that_can_be_no_table_is_refused_with_the_reason(row: Any, why: str) -> None:
    with pytest.raises(BadProjection, match=why):
        Shape.of(row, "rows")


Name = NewType("Name", str)
Short = TypeAliasType("Short", Annotated[Name, Mark.SEARCHED])


def test_a_name_for_a_type_is_that_type() -> None:
    @dataclass(frozen=True)
    class Row:
        id: Key[Name]
        short: Short | None
        state: Indexed[Literal["open", "shut"]] = "open"

    shape = Shape.of(Row, "rows")

    assert [(column.kind, column.optional) for column in shape.columns] == [(str, False), (str, True), (str, False)]
    assert shape.searched == ("short",)


def test_what_a_table_of_folded_rows_can_not_have_is_refused() -> None:
    table = Table(
        "rows",
        MetaData(),
        Column("id", String, primary_key=True),
        Column("a", String, default="x"),
        Column("b", String, index=True, unique=True),
        CheckConstraint("a <> b"),
        Index("both", "a", "b"),
    )

    with pytest.raises(BadProjection, match=r"CheckConstraint.*Index over 2 columns.*unique Index of b.*default of a"):
        Shape.of_table(table, "rows")
    assert Shape.of_table(Table("rows", MetaData(), Column("id", String, primary_key=True)), "rows").listed == ("id",)
