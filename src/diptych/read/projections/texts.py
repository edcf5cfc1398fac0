"""
Send each column of many rows as one text, which PostgreSQL takes apart.

An array costs its driver several looks at each value, a text next to none. What can't be told in
such a text goes another way: as arrays, which know every case and say what is wrong with it.
"""

from collections.abc import Callable, Sequence
from datetime import MAXYEAR, MINYEAR, UTC, date, datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import BigInteger, Boolean, Column, Dialect, Table, Uuid
from sqlalchemy.types import TypeEngine

from diptych.codec import INT64
from diptych.read.projections.columns import (
    Amount,
    AsJson,
    ByValue,
    Day,
    PlainText,
    Processor,
    UtcTime,
    bind_of,
)
from diptych.read.projections.search import DELIMITER, tsvector
from diptych.read.projections.shape import Shape

NOTHING = "\N{INFORMATION SEPARATOR TWO}"  # NULL

Tell: TypeAlias = Callable[[Sequence[Any]], Sequence[str]]
"""Makes values, at least one and none of them None, texts that the database reads."""


class _Odd(Exception):
    """A value that can't be told in a text, or not by a column of its type."""


class Texts:
    """The columns of a shape on PostgreSQL."""

    def __init__(self, shape: Shape, table: Table, dialect: Dialect) -> None:
        self._shape = shape
        self._tells = [_tell(table.c[each], dialect) for each in shape.names]
        self._binds = [bind_of(table.c[each], dialect) for each in shape.names]

    def lists(self, types: Sequence[str]) -> str:
        """What stands for the columns in SQL, behind the two parameters that say how they are told."""
        tells = [*self._tells, _integers, *([_texts] if self._shape.searched else [])]
        return ", ".join(
            f"string_to_array(${number}, $1, $2)::{type}[]" if tell else f"${number}::{type}[]"
            for number, (type, tell) in enumerate(zip(types, tells, strict=True), 3)
        )

    def of(self, rows: Sequence[tuple[Any, int]]) -> Sequence[Any] | None:
        """
        The parameters for rows, each with its position; None where they have to go as arrays.

        Raises:
            NotStorable: What is to be JSON holds something that not every database can hold.
        """
        columns = self._shape.by_column([row for row, _ in rows])
        try:
            told = [_told(*each) for each in zip(self._tells, self._binds, columns, strict=True)]
            told.append(_joined(_integers, [position for _, position in rows]))
            if self._shape.searched:
                told.append(_joined(_texts, list(map(tsvector, self._shape.words(columns)))))
        except (_Odd, ArithmeticError, TypeError, ValueError):
            return None
        return (DELIMITER, NOTHING, *told)


def _told(tell: Tell | None, bind: Processor, values: Sequence[Any]) -> Any:
    if tell:
        return _joined(tell, values)
    return list(map(bind, values) if bind else values)


def _joined(tell: Tell, values: Sequence[Any]) -> str:
    given = [value for value in values if value is not None]
    told = tell(given) if given else ()
    if len(given) < len(values):
        each = iter(told)
        told = [NOTHING if value is None else next(each) for value in values]
    text = DELIMITER.join(told)
    if not text:  # which would be no value, and not an empty one
        raise _Odd
    return text


def _tell(column: Column[Any], dialect: Dialect) -> Tell | None:
    """How a column's values are told; None where they go as an array, as those of a type made from a known one do."""
    type = column.type
    if (how := _BOUND.get(type.__class__)) is not None:
        return partial(how, type=type, dialect=dialect)
    kept_as, tell = _PLAIN.get(type.__class__, ("", None))
    return tell if kept_as == type.dialect_impl(dialect).compile(dialect=dialect) else None


def _limited(values: Sequence[str], type: PlainText, dialect: Dialect) -> Sequence[str]:
    if type.longest is not None and len(max(values, key=len)) * 4 > type.longest:
        raise _Odd
    return _texts(values)


def _texts(values: Sequence[str]) -> Sequence[str]:
    text = DELIMITER.join(values)
    if text.count(DELIMITER) != len(values) - 1 or NOTHING in text or "\0" in text:
        raise _Odd
    text.encode()  # fails where there is a lone surrogate
    return values


def _by_value(values: Sequence[Any], type: ByValue, dialect: Dialect) -> Sequence[str]:
    _insist_on(type.kind, values)
    return _texts([value.value for value in values])


def _json(values: Sequence[Any], type: AsJson, dialect: Dialect) -> Sequence[str]:
    texts = type.texts(values)
    if texts is None:
        raise _Odd
    return texts


def _amounts(values: Sequence[Decimal], type: Amount, dialect: Dialect) -> Sequence[str]:
    """As it is where the point stands at its place, and no exponent behind it, which leaves no room for more places."""
    _insist_on(Decimal, values)
    point = slice(-type.scale - 1, -type.scale) if type.scale > 0 else slice(0)
    return [
        text if text[point] == "." and "E" not in text else str(type.process_bind_param(value, dialect))
        for text, value in zip(map(str, values), values, strict=True)
    ]


def _times(values: Sequence[datetime], type: UtcTime, dialect: Dialect) -> Sequence[str]:
    _insist_on(datetime, values)
    _insist_on_no_end(values)
    return [(value if value.tzinfo is UTC else type.process_bind_param(value, dialect)).isoformat() for value in values]


def _integers(values: Sequence[int]) -> Sequence[str]:
    _insist_on(int, values)
    if min(values) not in INT64 or max(values) not in INT64:
        raise _Odd
    return list(map(str, values))


def _booleans(values: Sequence[bool]) -> Sequence[str]:
    _insist_on(bool, values)
    return list(map(str, values))


def _days(values: Sequence[date]) -> Sequence[str]:
    _insist_on(date, values)
    _insist_on_no_end(values)
    return list(map(date.isoformat, values))


def _insist_on_no_end(values: Sequence[Any]) -> None:
    """The driver makes infinity of the first and the last day that there are, in keys and filters too."""
    if min(values).year == MINYEAR or max(values).year == MAXYEAR:
        raise _Odd


def _uuids(values: Sequence[UUID]) -> Sequence[str]:
    _insist_on(UUID, values)
    return list(map(str, values))


def _insist_on(kind: type[Any], values: Sequence[Any]) -> None:
    if not set(map(type, values)) <= {kind}:
        raise _Odd


_PLAIN: dict[type[TypeEngine[Any]], tuple[str, Tell]] = {
    BigInteger: ("BIGINT", _integers),
    Boolean: ("BOOLEAN", _booleans),
    Day: ("DATE", _days),
    Uuid: ("UUID", _uuids),
}
_BOUND: dict[type[TypeEngine[Any]], Callable[..., Sequence[str]]] = {
    PlainText: _limited,
    ByValue: _by_value,
    AsJson: _json,
    Amount: _amounts,
    UtcTime: _times,
}
