"""
Say which rows a question is about: a value, some values, a range or a beginning, of listed columns only.

    where={"status": ["pending", "shipped"], "total": {"ge": 10, "lt": 20}, "customer_id": {"prefix": "AL"}}

A None filters nothing, as a value and as a bound, so that what wasn't asked can be passed on.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from diptych.codec import check
from diptych.errors import InvalidQuery
from diptych.read.projections.columns import PlainText
from diptych.read.projections.shape import ColumnShape, Shape

MAX_VALUES = 100
BOUNDS = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}
OPERATORS = (*BOUNDS, "prefix")
_SURROGATES = range(0xD800, 0xE000)
_LAST = 0x10FFFF


@dataclass(frozen=True, slots=True)
class Condition:
    """What a column must be: compared with one value, or `IN` several of them."""

    column: str
    operator: str
    values: tuple[Any, ...]


def conditions(shape: Shape, where: Mapping[str, Any] | None) -> tuple[Condition, ...]:
    """
    The conditions of a `where`, with values as the columns' own are.

    Raises:
        NotStorable: A value that no column can hold.
        InvalidQuery: A column that isn't listed, a value of another type than its column, or
            an operator that isn't one.
    """
    return tuple(each for name, value in (where or {}).items() for each in _conditions(shape, name, value))


def _conditions(shape: Shape, name: str, value: Any) -> Iterator[Condition]:
    if value is None:
        return
    if name not in shape.listed:
        raise InvalidQuery(f"no filter {name!r}", allowed=shape.listed)
    column = shape.column(name)
    match value:
        case Mapping():
            for operator, bound in value.items():
                yield from _compared(column, operator, bound)
        case list() | tuple() | set() | frozenset():
            yield _one_of(column, sorted(value, key=repr) if isinstance(value, set | frozenset) else value)
        case _:
            yield Condition(name, "=", (_value(column, value),))


def _one_of(column: ColumnShape, values: Iterable[Any]) -> Condition:
    wanted = tuple(dict.fromkeys(_value(column, each) for each in values))
    if len(wanted) > MAX_VALUES:
        raise InvalidQuery(f"the filter {column.name} has {len(wanted)} values: at most {MAX_VALUES} are looked for")
    return Condition(column.name, "IN", wanted)


def _compared(column: ColumnShape, operator: str, bound: Any) -> Iterator[Condition]:
    if operator not in OPERATORS:
        raise InvalidQuery(f"no operator {operator!r} for the filter {column.name}", allowed=OPERATORS)
    if operator == "prefix" and not isinstance(column.type, PlainText):
        raise InvalidQuery(f"the filter {column.name} has no prefix: only text begins with something")
    if bound is None:
        return
    value = _value(column, bound)
    yield Condition(column.name, BOUNDS.get(operator, ">="), (value,))
    if operator == "prefix" and (beyond := beyond_prefix(value)) is not None:
        yield Condition(column.name, "<", (beyond,))


def _value(column: ColumnShape, value: Any) -> Any:
    """What to filter by, as the column's own values are."""
    check(value, f"the filter {column.name}")
    try:
        return column.value(value)
    except ValueError as error:
        raise InvalidQuery(f"no value to filter {column.name} by: {error}") from error


def beyond_prefix(prefix: str) -> str | None:
    """The first text, by code point, behind all that begin with *prefix*; None where nothing is behind them."""
    while prefix:
        code = ord(prefix[-1]) + 1
        prefix = prefix[:-1]
        if code <= _LAST:
            return prefix + chr(_SURROGATES.stop if code in _SURROGATES else code)
    return None
