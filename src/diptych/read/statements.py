"""
Read and write many rows of a table at once, one statement each.

The SQL is compiled once from SQLAlchemy Core and run on the driver; values pass
the column types' own processors.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from sqlalchemy import Column, Dialect, MetaData, Table, bindparam, func, select
from sqlalchemy.dialects import sqlite
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.read.search import words
from diptych.read.shape import POSITION, WORDS, Shape

Processor = Callable[[Any], Any] | None


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
        parameter = msgspec.json.encode([compiled.bind_key(key) for key in keys]).decode()
        result = await connection.exec_driver_sql(compiled.select, (parameter,))
        rows = (compiled.row(values) for values in result)
        return {self.shape.key_of(row): (row, position) for row, position in rows}

    async def upsert(self, connection: AsyncConnection, rows: Sequence[tuple[Any, int]]) -> None:
        """Write rows; a new one is made at its position, one that is there keeps its own."""
        compiled = self._for(connection)
        await connection.exec_driver_sql(compiled.upsert, [compiled.values(row, position) for row, position in rows])

    async def delete(self, connection: AsyncConnection, keys: Sequence[Any]) -> None:
        """Remove the rows of these keys."""
        compiled = self._for(connection)
        await connection.exec_driver_sql(compiled.delete, [(compiled.bind_key(key),) for key in keys])

    def _for(self, connection: AsyncConnection) -> "_Compiled":
        if self._compiled is None:
            self._compiled = _Compiled(self.shape, self.table, connection.dialect)
        return self._compiled


class _Compiled:
    """SQL text and processors for one dialect."""

    def __init__(self, shape: Shape, table: Table, dialect: Dialect) -> None:
        self._shape = shape
        key = table.c[shape.key.name]
        columns = [table.c[name] for name in (*shape.names, POSITION)]
        wanted = select(func.json_each(bindparam("keys")).table_valued("value").c.value)
        self.select = _text(select(*columns).where(key.in_(wanted)), dialect)
        self.delete = _text(table.delete().where(key == bindparam("key")), dialect)
        insert = sqlite.insert(table)
        hidden = (WORDS,) if shape.searched else ()
        changed = {
            name: insert.excluded[name] for name in (*shape.names, *hidden) if name not in (shape.key.name, POSITION)
        }
        self.upsert = _text(
            insert.on_conflict_do_update(index_elements=[key.name], set_=changed)
            if changed
            else insert.on_conflict_do_nothing(index_elements=[key.name]),
            dialect,
        )
        binds = [_bind(column, dialect) for column in columns[:-1]]
        self._binds = [(number, bind) for number, bind in enumerate(binds) if bind]
        self._result = [_result(column, dialect) for column in columns[:-1]]
        self._bind_one = _bind(key, dialect)

    def bind_key(self, key: Any) -> Any:
        """A key as the driver takes it."""
        return self._bind_one(key) if self._bind_one else key

    def values(self, row: Any, position: int) -> tuple[Any, ...]:
        """A row as the driver takes it, hidden columns included."""
        values = list(self._shape.values(row))
        for number, bind in self._binds:
            values[number] = bind(values[number])
        values.append(position)
        if self._shape.searched:
            values.append(searched_words(self._shape, row))
        return tuple(values)

    def row(self, values: Sequence[Any]) -> tuple[Any, int]:
        """A row as the driver gave it, and its position."""
        own = [
            result(value) if result and value is not None else value
            for result, value in zip(self._result, values[:-1], strict=True)
        ]
        return self._shape.row(own), values[-1]


def searched_words(shape: Shape, row: Any) -> str:
    """What a search looks through: the words of the searched columns, one after another."""
    return " ".join(words(" ".join(filter(None, [shape.value(row, name) for name in shape.searched]))))


def _text(statement: Any, dialect: Dialect) -> str:
    return str(statement.compile(dialect=dialect))


def _bind(column: Column[Any], dialect: Dialect) -> Processor:
    return column.type.dialect_impl(dialect).bind_processor(dialect)


def _result(column: Column[Any], dialect: Dialect) -> Processor:
    return column.type.dialect_impl(dialect).result_processor(dialect, None)
