from dataclasses import dataclass
from enum import Enum
from typing import Any

import msgspec
import pytest

from diptych.errors import BadProjection
from diptych.read.columns import Indexed, Key, Searched
from diptych.read.shape import Shape


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
    ],
)
def test_a_row_that_can_be_no_table_is_refused_with_the_reason(row: Any, why: str) -> None:
    with pytest.raises(BadProjection, match=why):
        Shape.of(row, "rows")
