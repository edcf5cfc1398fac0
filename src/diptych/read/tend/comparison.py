"""
Compare two builds of a table row by row, each in its own snapshot, with flat memory.

Both are walked in the order of their key, which the database sorts by: a page
of the one, then whatever lies in the same stretch of the other.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeAlias

from sqlalchemy import Column, ColumnElement, Dialect, Table, literal, select, tuple_, type_coerce
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.types import TypeEngine, UserDefinedType

from diptych.errors import BadProjection

ROWS = 1_000
Row: TypeAlias = Mapping[str, Any]
_Key = tuple[Any, ...]


@dataclass(frozen=True, slots=True, repr=False)
class Undecodable:
    """What a cell holds that its column can't keep, as `stored`: equal to no value of the column."""

    stored: Any

    def __repr__(self) -> str:
        return f"{self.stored!r} (which the column can't keep)"


@dataclass(frozen=True, slots=True)
class Difference:
    """
    A row that isn't what the log folds to.

    Attributes:
        table: The table's logical name.
        key: The row's key; a tuple where several columns make it.
        expected: The row that the log folds to; None for an *extra* one, which should not be there.
        found: The row that is there; None for a *missing* one.
    """

    table: str
    key: Any
    expected: Row | None
    found: Row | None

    @property
    def kind(self) -> str:
        """How it differs: "missing", "extra" or "different"."""
        if self.found is None:
            return "missing"
        return "extra" if self.expected is None else "different"

    @property
    def columns(self) -> Sequence[str]:
        """The columns that differ, where both rows are there."""
        if self.found is None or self.expected is None:
            return ()
        return _differing(self.expected, self.found)

    def __str__(self) -> str:
        where = f"row {self.key!r} of {self.table}"
        if self.found is None or self.expected is None:
            return f"{where} is {self.kind}: {dict(self.expected or self.found or {})!r}"
        values = (f"{name} is {self.found[name]!r}, not {self.expected[name]!r}" for name in self.columns)
        return f"{where} differs: {'; '.join(values)}"


class Side:
    """
    One build of a table, as a snapshot has it.

    Raises:
        BadProjection: The table has no primary key, so that no row of it can be told from another.
    """

    def __init__(self, connection: AsyncConnection, table: Table, columns: Sequence[str]) -> None:
        self._connection = connection
        self._key: list[Column[Any]] = list(table.primary_key)
        if not self._key:
            raise BadProjection(f"table {table.name} has no primary key: give it one, so that its rows can be compared")
        read = (type_coerce(table.c[name], _AsFarAsItCan(table.c[name].type)).label(name) for name in columns)
        self._rows = select(*read).order_by(*self._key).limit(ROWS)

    def key_of(self, row: Row) -> _Key:
        """What tells a row from the others."""
        return tuple(row[column.name] for column in self._key)

    async def page(self, after: _Key | None, up_to: _Key | None = None) -> dict[_Key, Row]:
        """Rows beyond a key and up to another, by their keys, in order; None is before and beyond everything."""
        asked = self._rows
        if after is not None:
            asked = asked.where(tuple_(*self._key) > self._there(after))
        if up_to is not None:
            asked = asked.where(tuple_(*self._key) <= self._there(up_to))
        found = (dict(row) for row in (await self._connection.execute(asked)).mappings())
        return {self.key_of(row): row for row in found}

    async def between(self, after: _Key | None, up_to: _Key | None) -> AsyncIterator[tuple[_Key, Row]]:
        """All rows of a stretch, page by page."""
        while page := await self.page(after, up_to):
            for each in page.items():
                yield each
            after = next(reversed(page))
            if len(page) < ROWS:
                return

    def _there(self, key: _Key) -> ColumnElement[Any]:
        return tuple_(*(_literal(value, column) for value, column in zip(key, self._key, strict=True)))


class _AsFarAsItCan(UserDefinedType[Any]):
    """Values of a type, and what can't be one as it is stored."""

    cache_ok: bool | None = False

    def __init__(self, kind: TypeEngine[Any]) -> None:
        self.kind: TypeEngine[Any] = kind

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """The value again, or that there is none."""
        decode = self.kind.dialect_impl(dialect).result_processor(dialect, coltype)
        if decode is None:
            return None

        def decoded(stored: Any) -> Any:
            try:
                return decode(stored)
            except Exception:  # noqa: BLE001  # whatever its type says to it
                return Undecodable(stored)

        return decoded


def _literal(value: Any, column: Column[Any]) -> ColumnElement[Any]:
    return literal(value.stored) if isinstance(value, Undecodable) else literal(value, column.type)


async def differences(name: str, found: Side, expected: Side) -> AsyncIterator[Difference | None]:
    """What differs, in the order of the keys; None for each row that is as it should be."""
    after: _Key | None = None
    while True:
        page = await found.page(after)
        up_to = next(reversed(page)) if len(page) == ROWS else None
        async for key, row in expected.between(after, up_to):
            there = page.pop(key, None)
            is_same = there is not None and not _differing(row, there)
            yield None if is_same else Difference(name, _plain(key), row, there)
        for key, there in page.items():
            yield Difference(name, _plain(key), None, there)
        if up_to is None:
            return
        after = up_to


def _differing(expected: Row, found: Row) -> Sequence[str]:
    """The columns in which two rows differ."""
    return [name for name, value in expected.items() if not _is_same(value, found[name])]


def _is_same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of one type all the way down: JSON tells 1, 1.0 and true apart, Python not."""
    if type(one) is not type(other) or one != other:
        return False
    match one:
        case dict():
            return all(_is_same(value, other[name]) for name, value in one.items())
        case list() | tuple():
            return all(_is_same(*each) for each in zip(one, other, strict=True))
    return all(_is_same(getattr(one, name), getattr(other, name)) for name in _fields(one))


def _fields(value: Any) -> Sequence[str]:
    """The names of what a value is made of, where it is a record."""
    if is_dataclass(value):
        return [each.name for each in fields(value)]
    return getattr(value, "__struct_fields__", ())


def _plain(key: _Key) -> Any:
    return key[0] if len(key) == 1 else key
