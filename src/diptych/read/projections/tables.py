"""
Make the tables of a shape, its indexes, and what its search needs.

Indexes and search come last: a first build or a rebuild makes its rows without
them, and has them all at once when it is served.
"""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, TypeAlias

from sqlalchemy import Column, Index, Integer, MetaData, Table, UniqueConstraint, inspect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateIndex, DropTable

from diptych.read.projections.shape import ROW, WORDS, Shape

INDEX_S = 86_400.0
Step: TypeAlias = Callable[[AsyncConnection], Awaitable[None]]


async def create_tables(connection: AsyncConnection, shape: Shape, name: str) -> None:
    """Make a shape's table, without what only queries need."""
    metadata = MetaData()
    table = shape.table(name, metadata)
    if shape.searched and _is_sqlite(connection):
        metadata = MetaData()
        _with_row_number(shape, table, metadata)
    await connection.run_sync(metadata.create_all)


def index_steps(shape: Shape, name: str) -> list[Step]:
    """
    What makes a table's secondary indexes and the index of its words, unless they are there.

    Each may be a transaction of its own: a database that writes one at a time lets others write between them.
    """
    table = shape.table(name, MetaData())
    steps: list[Step] = [partial(make_index, index=index) for index in shape.indexes(table)]
    return [*steps, partial(_create_search, name=name, words=table.c[WORDS])] if shape.searched else steps


async def drop_table(connection: AsyncConnection, name: str) -> None:
    """Remove a table with all that belongs to it."""
    if _is_sqlite(connection):
        await connection.execute(DropTable(Table(_search(name), MetaData()), if_exists=True))
    await connection.execute(DropTable(Table(name, MetaData()), if_exists=True))


async def _create_search(connection: AsyncConnection, name: str, words: Column[Any]) -> None:
    if not _is_sqlite(connection):
        await make_index(connection, Index(_search(name), words, postgresql_using="gin"))
    elif not await _has_table(connection, _search(name)):
        for statement in _search_ddl(name):
            await connection.exec_driver_sql(statement)


async def make_index(connection: AsyncConnection, index: Index) -> None:
    """Make an index, however long it takes, unless it is there."""
    create = CreateIndex(index, if_not_exists=True)
    if _is_sqlite(connection):
        await connection.execute(create)
        return
    statement = str(create.compile(dialect=connection.dialect))
    # A statement of the connection is given seconds; a large table's index takes minutes.
    raw = await connection.get_raw_connection()
    assert raw.driver_connection is not None
    try:
        await raw.driver_connection.execute(statement, timeout=INDEX_S)
    except Exception as error:
        raise DBAPIError(statement, None, _OfTheDriver(error)) from error


class _OfTheDriver(Exception):
    """What the driver raised past SQLAlchemy, as a read database tells by it whether it is away."""

    def __init__(self, error: Exception) -> None:
        super().__init__(f"{type(error).__name__}: {error}")
        self.__cause__ = error
        self.sqlstate: str | None = getattr(error, "sqlstate", None)


async def _has_table(connection: AsyncConnection, name: str) -> bool:
    return await connection.run_sync(lambda sync: inspect(sync).has_table(name))


def _is_sqlite(connection: AsyncConnection) -> bool:
    return connection.dialect.name == "sqlite"


def _search(name: str) -> str:
    return f"{name}_search"


# FTS5, the search of SQLite


def _with_row_number(shape: Shape, table: Table, metadata: MetaData) -> Table:
    """The search index points at rows by a number that stays; an implicit one may change."""
    columns = [Column(column.name, column.type, nullable=column.nullable) for column in table.columns]
    row = Column(ROW, Integer, primary_key=True)
    return Table(table.name, metadata, row, *columns, UniqueConstraint(shape.key.name, name=f"{table.name}_key"))


def _search_ddl(name: str) -> list[str]:
    search = _search(name)
    remove = f'INSERT INTO "{search}" ("{search}", rowid, {WORDS}) VALUES (\'delete\', old.{ROW}, old.{WORDS});'
    add = f'INSERT INTO "{search}" (rowid, {WORDS}) VALUES (new.{ROW}, new.{WORDS});'
    options = f"{WORDS}, content='{name}', content_rowid='{ROW}', tokenize='ascii'"
    changed = f"old.{WORDS} IS NOT new.{WORDS}"
    return [
        f'CREATE VIRTUAL TABLE "{search}" USING fts5({options})',
        f'INSERT INTO "{search}" ("{search}") VALUES (\'rebuild\')',
        f'CREATE TRIGGER "{search}_insert" AFTER INSERT ON "{name}" BEGIN {add} END',
        f'CREATE TRIGGER "{search}_delete" AFTER DELETE ON "{name}" BEGIN {remove} END',
        f'CREATE TRIGGER "{search}_update" AFTER UPDATE ON "{name}" WHEN {changed} BEGIN {remove} {add} END',
    ]
