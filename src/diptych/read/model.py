"""
Read rows: one by its key, or a page of those that match.

Filters and sorts come from a closed list, the columns that the row marks. Rows,
their pointer and their position are read in one snapshot.
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec
from sqlalchemy import ColumnElement, Select, Table, and_, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.codec import check
from diptych.errors import InvalidQuery, Malformed, NotStorable
from diptych.read.page import Cursor, PaginatedResult, digest_of
from diptych.read.search import found_in
from diptych.read.shape import POSITION, Shape

Row = TypeVar("Row")
PAGES, PAGE_SIZES = range(1, 1_000_000_001), range(1, 101)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A read-only moment of a read model, for statements of one's own."""

    conn: AsyncConnection
    table: Table
    position: int


class Source(Protocol):
    """What a read model reads: rows of a shape, kept by a projection of that name."""

    shape: Shape
    name: str

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """The rows as they are at one moment."""


@dataclass(frozen=True, slots=True)
class Order:
    """How a page is sorted: a column or the position, either way round."""

    text: str
    column: str
    descending: bool


class ReadModel(Generic[Row]):
    """The rows that a projection keeps."""

    def __init__(self, source: Source) -> None:
        self._source = source

    async def get(self, key: Any) -> Row | None:
        """
        The row of a key; None where there is none, as for a key that no column can hold.

        Raises:
            NotServed: The first build isn't done yet.
        """
        shape = self._source.shape
        try:
            key = shape.key.value(key)
        except ValueError:
            return None
        async with self.snapshot() as at:
            columns = [at.table.c[name] for name in shape.names]
            found = (await at.conn.execute(select(*columns).where(at.table.c[shape.key.name] == key))).first()
        row: Row | None = None if found is None else shape.row(found)
        return row

    async def page(
        self,
        where: Mapping[str, Any] | None = None,
        *,
        search: str | None = None,
        order_by: str | None = None,
        page: int = 1,
        page_size: int = 20,
        cursor: str | None = None,
    ) -> PaginatedResult[Row]:
        """
        A page of the rows that match, newest first unless ordered otherwise.

        Args:
            where: Values that key or indexed columns must have; a None filters nothing.
            search: Words that must all occur, "quoted words" side by side; the last word may go on.
                None searches nothing, and a text without a word finds nothing.
            order_by: A key or indexed column, with "-" before it for descending; nulls come last.
            page: 1 is the first, 1,000,000,000 the last that may be asked for.
            page_size: 1 to 100.
            cursor: From the page before: goes on behind it, without counting; *page* then doesn't matter.

        Raises:
            NotStorable: A value to filter by, or a search, that no column can hold.
            InvalidQuery: A column that isn't listed, a value of another type than its column, a page
                that can't be, or a cursor of another question.
            Malformed: A cursor of nobody's.
        """
        order = self._order(order_by)
        self._check(page, page_size)
        filters = {name: self._value(name, value) for name, value in (where or {}).items() if value is not None}
        check(search, "the search")
        digest = digest_of([filters, search])
        after = None if cursor is None else Cursor.decode(cursor)
        if after is not None:
            after.check(order.text, digest)
        async with self.snapshot() as at:
            matching = self._matching(at.table, filters, search, at.conn.dialect.name)
            if matching is None:
                return PaginatedResult([], 0 if after is None else None, page, page_size)
            total = None if after else await _count(at, matching)
            offset = 0 if after else (page - 1) * page_size
            statement = self._select(at.table, matching, order, after).limit(page_size + 1).offset(offset)
            rows = (await at.conn.execute(statement)).all()
        items = [self._source.shape.row(row[:-1]) for row in rows[:page_size]]
        end = rows[page_size - 1] if len(rows) > page_size else None
        return PaginatedResult(items, total, page, page_size, self._cursor(order, digest, end))

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """
        The served table, for statements of one's own on one moment.

        Raises:
            NotServed: The first build isn't done yet.
        """
        return self._source.snapshot()

    def _value(self, name: str, value: Any) -> Any:
        """What to filter by, as the column's own values are."""
        if name not in self._source.shape.listed:
            raise InvalidQuery(f"no filter {name!r}", allowed=self._source.shape.listed)
        check(value, f"the filter {name}")
        try:
            return self._source.shape.column(name).value(value)
        except ValueError as error:
            raise InvalidQuery(f"no value to filter {name} by: {error}") from error

    def _check(self, page: int, page_size: int) -> None:
        for what, number, allowed in (("page", page, PAGES), ("page_size", page_size, PAGE_SIZES)):
            if number not in allowed:
                raise InvalidQuery(f"{what} {number}: {allowed[0]} to {allowed[-1]}")

    def _order(self, order_by: str | None) -> Order:
        if order_by is None:
            return Order("", POSITION, descending=True)
        column = order_by.removeprefix("-")
        if column not in self._source.shape.listed:
            raise InvalidQuery(f"no order {order_by!r}", allowed=self._source.shape.listed)
        return Order(order_by, column, descending=order_by.startswith("-"))

    def _matching(
        self, table: Table, filters: Mapping[str, Any], search: str | None, dialect: str
    ) -> list[ColumnElement[bool]] | None:
        """The conditions; None where nothing can match."""
        conditions: list[ColumnElement[bool]] = [table.c[name] == value for name, value in filters.items()]
        if search is None:
            return conditions
        if not self._source.shape.searched:
            raise InvalidQuery(f"{self._source.name} has no searched columns: mark one as Searched[str]")
        words = found_in(table, search, dialect)
        return None if words is None else [*conditions, words]

    def _select(
        self, table: Table, matching: list[ColumnElement[bool]], order: Order, after: Cursor | None
    ) -> Select[Any]:
        """The rows that match, each with its position, in order."""
        column, position, key = table.c[order.column], table.c[POSITION], table.c[self._source.shape.key.name]
        columns = [table.c[name] for name in self._source.shape.names]
        statement = select(*columns, position).where(*matching)
        if after is not None:
            statement = statement.where(_behind(column, position, key, order, self._decoded(after, order)))
        ranks = [column.desc() if order.descending else column.asc()]
        if order.column != POSITION:
            ranks[0] = ranks[0].nulls_last()
            ranks.append(position.desc())
        return statement.order_by(*ranks, key.asc())

    def _cursor(self, order: Order, digest: str, end: Any | None) -> str | None:
        if end is None:
            return None
        names = self._source.shape.names
        value = end[-1] if order.column == POSITION else end[names.index(order.column)]
        return Cursor(order.text, digest, value, end[-1], end[names.index(self._source.shape.key.name)]).encode()

    def _decoded(self, cursor: Cursor, order: Order) -> Cursor:
        """The cursor's values in the types of their columns."""
        shape = self._source.shape
        try:
            check([cursor.value, cursor.position, cursor.key], "the cursor")
            value, key = cursor.value, shape.key.value(cursor.key)
            if order.column != POSITION and value is not None:
                value = shape.column(order.column).value(value)
        except (ValueError, NotStorable) as error:
            raise Malformed("cursor", "its values are of other types") from error
        return msgspec.structs.replace(cursor, value=value, key=key)


def _behind(column: Any, position: Any, key: Any, order: Order, after: Cursor) -> ColumnElement[bool]:
    """What comes behind a place in the order: column, then newest first, then key; nulls last."""
    tie = or_(position < after.position, and_(position == after.position, key > after.key))
    if order.column == POSITION:
        return tie
    if after.value is None:
        return and_(column.is_(None), tie)
    further = column < after.value if order.descending else column > after.value
    return or_(further, column.is_(None), and_(column == after.value, tie))


async def _count(at: Snapshot, matching: list[ColumnElement[bool]]) -> int:
    statement = select(func.count()).select_from(at.table).where(*matching)
    return (await at.conn.execute(statement)).scalar_one()
