"""
Derive a table from a row class: its columns, its key, what is indexed and what is searched.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cached_property
from operator import attrgetter
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Float,
    Index,
    MetaData,
    Numeric,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    Uuid,
    func,
)
from sqlalchemy import Enum as Enumerated
from sqlalchemy.dialects import sqlite
from sqlalchemy.dialects.postgresql import TSVECTOR
from sqlalchemy.types import TypeEngine

from diptych.codec import INT64
from diptych.errors import BadProjection
from diptych.read.projections.columns import (
    Amount,
    AsJson,
    ByValue,
    Day,
    Duration,
    Mark,
    Number,
    PlainText,
    Scale,
    TimeOfDay,
    UtcTime,
    in_words,
)
from diptych.read.projections.search import words_of_each
from diptych.store.names import LONGEST_NAME

POSITION = "_position"
WORDS = "_words"
ROW = "_row"
BEGINNING = 500  # characters of an indexed text that stand in its index: PostgreSQL takes no more than 2,704 bytes

_PLAIN: dict[Any, Callable[[], TypeEngine[Any]]] = {
    str: PlainText,
    int: BigInteger,
    float: Number,
    bool: Boolean,
    date: Day,
    datetime: UtcTime,
    UUID: Uuid,
    time: TimeOfDay,
    timedelta: Duration,
}


@dataclass(frozen=True)
class ColumnShape:
    """A column: the Python type of its values, and what it is for."""

    name: str
    kind: Any
    optional: bool
    marks: frozenset[Mark]
    type: TypeEngine[Any]

    def value(self, given: Any) -> Any:
        """
        A value to compare with the column's own: of its type, and one that it could hold.

        Raises:
            ValueError: No row can have it there.
        """
        try:
            value = msgspec.convert(given, self.kind)
            self._bind(value)
        except (ValueError, TypeError, OverflowError, ArithmeticError) as error:
            raise ValueError(str(error)) from error
        if type(value) is int and value not in INT64:
            raise ValueError(f"{value} is beyond 64 bits")
        return value

    @cached_property
    def is_cut(self) -> bool:
        """Whether its index holds beginnings only, as texts may be longer than an index takes."""
        return isinstance(self.type, PlainText) and Mark.INDEXED in self.marks and Mark.KEY not in self.marks

    def place(self, value: Any) -> Any:
        """What of a value says where the row stands in an order by this column."""
        return value[:BEGINNING] if self.is_cut and value is not None else value

    def told(self) -> str:
        """What it keeps and what it is for, in words."""
        marks = [f" {mark.value}" for mark in Mark if mark in self.marks]
        return f"{in_words(self.type)}{''.join(marks)}{' or NULL' if self.optional else ''}"

    @cached_property
    def _bind(self) -> Callable[[Any], Any]:
        bind = self.type.bind_processor(sqlite.dialect())
        return bind or (lambda value: value)


@dataclass(frozen=True)
class Shape:
    """
    The table of a row class, under its logical name.

    Beside the row's own columns it has `_position`, where the event that made
    the row stands, and `_words`, what a search looks through, if it is searched.
    """

    name: str
    row_type: Any
    columns: tuple[ColumnShape, ...]
    key: ColumnShape

    @staticmethod
    def of(row_type: Any, name: str) -> "Shape":
        """
        The shape of a frozen dataclass or msgspec Struct.

        Raises:
            BadProjection: It has no key or several, or a column of a type that isn't known.
        """
        columns = tuple(_column(row_type, each, hint) for each, hint in _hints(row_type).items())
        keys = [column for column in columns if Mark.KEY in column.marks]
        if len(keys) != 1:
            raise BadProjection(
                f"{row_type.__name__} has {len(keys)} keys: mark exactly one column, such as `order_id: Key[str]`"
            )
        return Shape(name, row_type, columns, keys[0])

    @staticmethod
    def of_table(table: Table, name: str) -> "Shape":
        """
        The shape of rows that are dicts, from a SQLAlchemy table: its primary key, the columns
        with `index=True`, and those with `info={"searched": True}`.

        Raises:
            BadProjection: Its primary key isn't one column, or it has constraints, defaults or
                indexes of several columns, which nothing would come of.
        """
        _check_bare(table)
        columns = tuple(_declared(column) for column in table.columns)
        keys = [column for column in columns if Mark.KEY in column.marks]
        if len(keys) != 1:
            raise BadProjection(f"table {table.name} has {len(keys)} primary key columns: exactly one names the row")
        return Shape(name, dict, columns, keys[0])

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The row's own columns, in order."""
        return tuple(column.name for column in self.columns)

    def column(self, name: str) -> ColumnShape:
        """The column of that name."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, ColumnShape]:
        return {column.name: column for column in self.columns}

    @cached_property
    def listed(self) -> tuple[str, ...]:
        """The columns that may be filtered and sorted by."""
        return tuple(column.name for column in self.columns if column.marks & {Mark.KEY, Mark.INDEXED})

    @cached_property
    def cut(self) -> frozenset[str]:
        """The columns whose index holds beginnings only."""
        return frozenset(column.name for column in self.columns if column.is_cut)

    @cached_property
    def may_change_in_place(self) -> bool:
        """Whether a row that is the same object as before may say something else: a dict, or one that holds a list."""
        return self.row_type is dict or any(isinstance(column.type, AsJson) for column in self.columns)

    @cached_property
    def searched(self) -> tuple[str, ...]:
        """The columns that a search looks through."""
        return tuple(column.name for column in self.columns if Mark.SEARCHED in column.marks)

    def described(self) -> dict[str, str]:
        """What each column keeps and what it is for, in words."""
        return {column.name: column.told() for column in self.columns}

    def table(self, name: str, metadata: MetaData) -> Table:
        """The physical table of this shape, without its secondary indexes."""
        own = [
            Column(column.name, column.type, primary_key=column is self.key, nullable=column.optional)
            for column in self.columns
        ]
        hidden: list[Column[Any]] = [Column(POSITION, BigInteger, nullable=False)]
        if self.searched:
            hidden.append(Column(WORDS, Text().with_variant(TSVECTOR(), "postgresql"), nullable=False))
        return Table(name, metadata, *own, *hidden)

    def indexes(self, table: Table) -> list[Index]:
        """The secondary indexes of a physical table: one for each indexed column, and one for the newest first."""
        found = [Index(f"{table.name}_newest", table.c[POSITION])]
        for column in self.columns:
            if Mark.INDEXED in column.marks:
                own = table.c[column.name]
                sorted_by = func.substr(own, 1, BEGINNING) if column.is_cut else own
                found.append(Index(f"{table.name}_by_{column.name}", sorted_by, table.c[POSITION]))
        return found

    def value(self, row: Any, name: str) -> Any:
        """A column's value in a row."""
        return row.get(name) if self.row_type is dict else getattr(row, name)

    @cached_property
    def values(self) -> Callable[[Any], tuple[Any, ...]]:
        """The values of a row's own columns, in order."""
        names = self.names
        if self.row_type is dict:
            return lambda row: tuple(row.get(name) for name in names)
        if len(names) == 1:
            return lambda row: (getattr(row, names[0]),)
        return attrgetter(*names)

    def by_column(self, rows: Sequence[Any]) -> list[Sequence[Any]]:
        """The values of rows, at least one, column by column."""
        return list(zip(*map(self.values, rows), strict=True))

    def words(self, columns: Sequence[Sequence[Any]]) -> list[list[str]]:
        """The words that each row is found by, of the columns of them all."""
        return words_of_each([columns[self.names.index(name)] for name in self.searched])

    @cached_property
    def key_of(self) -> Callable[[Any], Any]:
        """The key of a row."""
        name = self.key.name
        return (lambda row: row.get(name)) if self.row_type is dict else attrgetter(name)

    def row(self, values: Sequence[Any]) -> Any:
        """A row from its column values, in order."""
        return self.row_type(**dict(zip(self.names, values, strict=True)))


def _hints(row_type: Any) -> dict[str, Any]:
    if not (is_dataclass(row_type) or (isinstance(row_type, type) and issubclass(row_type, msgspec.Struct))):
        raise BadProjection(f"{row_type!r} is no row: make it a frozen dataclass or a msgspec.Struct")
    if not _is_frozen(row_type):
        raise BadProjection(f"{row_type!r} may be changed in place, unseen: declare it with frozen=True")
    names = [f.name for f in fields(row_type)] if is_dataclass(row_type) else list(row_type.__struct_fields__)
    hints = get_type_hints(row_type, include_extras=True)
    return {name: hints[name] for name in names}


def _is_frozen(row_type: Any) -> bool:
    if issubclass(row_type, msgspec.Struct):
        return bool(row_type.__struct_config__.frozen)
    return bool(row_type.__dataclass_params__.frozen)


def _column(row_type: Any, name: str, hint: Any) -> ColumnShape:
    where = f"{row_type.__name__}.{name}"
    kind, optional, metadata = _unwrapped(hint)
    marks = frozenset(each for each in metadata if isinstance(each, Mark))
    scale = next((each.places for each in metadata if isinstance(each, Scale)), 2)
    if name.startswith("_"):
        raise BadProjection(f"{where}: names that begin with _ are Diptych's own")
    if Mark.SEARCHED in marks and kind is not str:
        raise BadProjection(f"{where} is searched and no text: only str columns have words")
    if Mark.KEY in marks and optional:
        raise BadProjection(f"{where} is the key and optional: a row always has its key")
    type = PlainText(LONGEST_NAME) if kind is str and Mark.KEY in marks else _type(where, kind, scale)
    if isinstance(type, AsJson) and marks:
        raise BadProjection(
            f"{where} can't be a key or indexed: {kind} is kept as JSON, which has no order that a database knows"
        )
    return ColumnShape(name, kind, optional, marks, type)


def _unwrapped(hint: Any) -> tuple[Any, bool, list[Any]]:
    """The type that a hint names in the end, whether None may stand there too, and what annotates it."""
    optional, metadata = False, []
    while True:
        if get_origin(hint) is Annotated:
            hint, *more = get_args(hint)
            metadata += more
        elif get_origin(hint) in (Union, UnionType) and type(None) in get_args(hint) and len(get_args(hint)) == 2:
            hint = next(each for each in get_args(hint) if each is not type(None))
            optional = True
        elif (named := getattr(hint, "__supertype__", None) or getattr(hint, "__value__", None)) is not None:
            hint = named  # of a NewType, or of a type alias
        elif get_origin(hint) is Literal and len({type(each) for each in get_args(hint)}) == 1:
            hint = type(get_args(hint)[0])
        else:
            return hint, optional, metadata


def _check_bare(table: Table) -> None:
    """Rows are written many at once by their key: nothing else of a table has a meaning there."""
    lost = [str(type(each).__name__) for each in table.constraints if not isinstance(each, PrimaryKeyConstraint)]
    lost += [f"Index over {len(index.columns)} columns" for index in table.indexes if len(index.columns) != 1]
    lost += [f"unique Index of {index.columns[0].name}" for index in table.indexes if index.unique]
    lost += [
        f"default of {column.name}"
        for column in table.columns
        if (column.default, column.server_default) != (None, None)
    ]
    if lost:
        raise BadProjection(
            f"table {table.name} declares what a table of folded rows can't have ({', '.join(lost)}): "
            "leave it out, or extend Projection and write its statements"
        )


def _declared(column: Column[Any]) -> ColumnShape:
    """A column as it was declared, but for types that would not be exact on every database."""
    kind: TypeEngine[Any] = column.type
    if isinstance(kind, Numeric) and not isinstance(kind, Float):
        kind = Amount(2 if kind.scale is None else kind.scale)
    elif isinstance(kind, DateTime):
        kind = UtcTime()
    elif isinstance(kind, Date):
        kind = Day()
    elif isinstance(kind, String) and not isinstance(kind, Enumerated):
        kind = PlainText(LONGEST_NAME if column.primary_key else None)
    roles = {Mark.KEY: column.primary_key, Mark.INDEXED: column.index, Mark.SEARCHED: column.info.get("searched")}
    marks = frozenset(mark for mark, wanted in roles.items() if wanted)
    return ColumnShape(column.name, kind.python_type, bool(column.nullable), marks, kind)


def _type(where: str, kind: Any, scale: int) -> TypeEngine[Any]:
    if kind in _PLAIN:
        return _PLAIN[kind]()
    if kind is Decimal:
        return Amount(scale)
    if isinstance(kind, type) and issubclass(kind, Enum):
        if not all(isinstance(member.value, str) for member in kind):
            raise BadProjection(f"{where} can't be a column: the values of {kind.__name__} are not all text")
        return ByValue(kind)
    try:
        return AsJson(kind)
    except TypeError as error:
        raise BadProjection(f"{where} can't be a column: {error}") from error
