"""
Read and write many rows of a table at once, one statement each.

The SQL is compiled once from SQLAlchemy Core and run on the driver; values pass
the column types' own processors.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Column, Dialect, MetaData, Table, bindparam, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.read.projections.columns import bind_all_of, bind_of, result_of
from diptych.read.projections.search import tsvector
from diptych.read.projections.shape import POSITION, WORDS, Shape
from diptych.read.projections.texts import Texts


class Statements:
    """What the engine does with one physical table of a shape."""

    def __init__(self, shape: Shape, name: str) -> None:
        self.shape = shape
        self.table: Table = shape.table(name, MetaData())
        self._compiled: _Compiled | None = None

    async def select_by_keys(self, connection: AsyncConnection, keys: Sequence[Any]) -> dict[Any, tuple[Any, int]]:
        """The rows of these keys that are there, each with the position that it was made at."""
        if not keys:
            return {}
        compiled = self._for(connection)
        result = await connection.exec_driver_sql(compiled.select, compiled.wanted(keys))
        rows = (compiled.row(values) for values in result)
        return {self.shape.key_of(row): (row, position) for row, position in rows}

    async def upsert(self, connection: AsyncConnection, rows: Sequence[tuple[Any, int]]) -> None:
        """Write rows; a new one is made at its position, one that is there keeps its own."""
        compiled = self._for(connection)
        await connection.exec_driver_sql(*compiled.upserting(rows))

    async def delete(self, connection: AsyncConnection, keys: Sequence[Any]) -> None:
        """Remove the rows of these keys."""
        compiled = self._for(connection)
        await connection.exec_driver_sql(compiled.delete, compiled.removed(keys))

    def _for(self, connection: AsyncConnection) -> "_Compiled":
        if self._compiled is None:
            of_dialect = _OnSqlite if connection.dialect.name == "sqlite" else _OnPostgres
            self._compiled = of_dialect(self.shape, self.table, connection.dialect)
        return self._compiled


class _Compiled(ABC):
    """SQL text, processors and the form of parameters for one dialect."""

    select: str
    upsert: str
    delete: str

    def __init__(self, shape: Shape, table: Table, dialect: Dialect) -> None:
        self._shape = shape
        own = [table.c[name] for name in shape.names]
        self._binds = [bind_all_of(column, dialect) for column in own]
        self._results = [result_of(column, dialect) for column in own]
        self._bind_key = bind_of(table.c[shape.key.name], dialect)

    @abstractmethod
    def wanted(self, keys: Sequence[Any]) -> Any:
        """The parameters of `select`."""

    def upserting(self, rows: Sequence[tuple[Any, int]]) -> tuple[str, Any]:
        """What writes rows, each with its position, and its parameters."""
        return self.upsert, self.written(self._columns(rows))

    @abstractmethod
    def written(self, columns: Sequence[Sequence[Any]]) -> Any:
        """The parameters of `upsert`, of what each column is to hold."""

    @abstractmethod
    def removed(self, keys: Sequence[Any]) -> Any:
        """The parameters of `delete`."""

    @abstractmethod
    def searched(self, found: Sequence[str]) -> str:
        """Words as the search's column keeps them."""

    def keys(self, keys: Sequence[Any]) -> Sequence[Any]:
        """Keys as the driver takes them."""
        return [self._bind_key(key) for key in keys] if self._bind_key else keys

    def row(self, values: Sequence[Any]) -> tuple[Any, int]:
        """A row as the driver gave it, and its position."""
        own = [
            result(value) if result and value is not None else value
            for result, value in zip(self._results, values[:-1], strict=True)
        ]
        return self._shape.row(own), values[-1]

    def _columns(self, rows: Sequence[tuple[Any, int]]) -> Sequence[Sequence[Any]]:
        """Rows, each with its position, as the driver takes them, hidden columns included."""
        given = self._shape.by_column([row for row, _ in rows])
        bound = [bind(values) for bind, values in zip(self._binds, given, strict=True)]
        bound.append([position for _, position in rows])
        if self._shape.searched:
            bound.append(list(map(self.searched, self._shape.words(given))))
        return bound


class _OnSqlite(_Compiled):
    """A list of keys goes as JSON, rows one after another."""

    def __init__(self, shape: Shape, table: Table, dialect: Dialect) -> None:
        super().__init__(shape, table, dialect)
        key = table.c[shape.key.name]
        wanted = select(func.json_each(bindparam("keys")).table_valued("value").c.value)
        self.select = _text(select(*_read(shape, table)).where(key.in_(wanted)), dialect)
        self.delete = _text(table.delete().where(key == bindparam("key")), dialect)
        insert = sqlite.insert(table)
        changed = {name: insert.excluded[name] for name in _changed(shape)}
        self.upsert = _text(
            insert.on_conflict_do_update(index_elements=[key.name], set_=changed)
            if changed
            else insert.on_conflict_do_nothing(index_elements=[key.name]),
            dialect,
        )

    def wanted(self, keys: Sequence[Any]) -> Any:
        return (msgspec.json.encode(self.keys(keys)).decode(),)

    def written(self, columns: Sequence[Sequence[Any]]) -> Any:
        return list(zip(*columns, strict=True))

    def removed(self, keys: Sequence[Any]) -> Any:
        return [(key,) for key in self.keys(keys)]

    def searched(self, found: Sequence[str]) -> str:
        return " ".join(found)


class _OnPostgres(_Compiled):
    """Keys and columns go as arrays, or as texts, so a statement is the same for any number of rows."""

    def __init__(self, shape: Shape, table: Table, dialect: Dialect) -> None:
        super().__init__(shape, table, dialect)
        quote = dialect.identifier_preparer.quote
        name, key = quote(table.name), quote(shape.key.name)
        hidden = [POSITION, *([WORDS] if shape.searched else [])]
        columns = [quote(each) for each in (*shape.names, *hidden)]
        types = [_array_type(table.c[each], dialect) for each in (*shape.names, POSITION)]
        types += ["text"] if shape.searched else []
        keys = f"{key} = ANY ($1::{types[shape.names.index(shape.key.name)]}[])"
        given = ", ".join(f"u.{each}{'::tsvector' if each == WORDS else ''}" for each in columns)
        changed = ", ".join(f"{quote(each)} = excluded.{quote(each)}" for each in _changed(shape))

        def upsert(lists: str) -> str:
            return (
                f"INSERT INTO {name} ({', '.join(columns)}) "
                f"SELECT {given} FROM unnest({lists}) AS u ({', '.join(columns)}) "
                f"ON CONFLICT ({key}) DO {f'UPDATE SET {changed}' if changed else 'NOTHING'}"
            )

        self._as_texts = Texts(shape, table, dialect)
        self.select = f"SELECT {', '.join(columns[: len(shape.names) + 1])} FROM {name} WHERE {keys}"
        self.delete = f"DELETE FROM {name} WHERE {keys}"
        self.upsert = upsert(", ".join(f"${number}::{type}[]" for number, type in enumerate(types, 1)))
        self._upsert_texts = upsert(self._as_texts.lists(types))

    def upserting(self, rows: Sequence[tuple[Any, int]]) -> tuple[str, Any]:
        texts = self._as_texts.of(rows)
        return super().upserting(rows) if texts is None else (self._upsert_texts, texts)

    def wanted(self, keys: Sequence[Any]) -> Any:
        return (list(self.keys(keys)),)

    def written(self, columns: Sequence[Sequence[Any]]) -> Any:
        return tuple(columns)

    def removed(self, keys: Sequence[Any]) -> Any:
        return self.wanted(keys)

    def searched(self, found: Sequence[str]) -> str:
        return tsvector(found)


def _read(shape: Shape, table: Table) -> list[Column[Any]]:
    return [table.c[name] for name in (*shape.names, POSITION)]


def _changed(shape: Shape) -> list[str]:
    """The columns that a row which is there takes over: all but its key and the position it was made at."""
    hidden = [WORDS] if shape.searched else []
    return [name for name in (*shape.names, *hidden) if name != shape.key.name]


def _array_type(column: Column[Any], dialect: Dialect) -> str:
    return column.type.dialect_impl(dialect).compile(dialect=dialect).partition(" COLLATE")[0]


def _text(statement: Any, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect))
