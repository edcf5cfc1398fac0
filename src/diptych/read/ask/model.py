"""
Read rows: one by its key, a page of those that match, or all of them one after another.

Filters and sorts come from a closed list, the columns that the row marks. Rows,
their pointer and their position are read in one snapshot.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic, Protocol, TypeAlias, TypeVar

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.codec import check
from diptych.errors import InvalidQuery, Malformed
from diptych.read.ask.filters import Condition, conditions
from diptych.read.ask.order import order_of
from diptych.read.ask.page import Cursor, PaginatedResult, digest_of
from diptych.read.ask.question import Columns, Question
from diptych.read.ask.ranked import ranked
from diptych.read.ask.ranking import Alphabet, highlighted
from diptych.read.ask.scope import insist_on_all_rows, is_visible, scope_of
from diptych.read.projections.search import Asked
from diptych.read.projections.shape import POSITION, Shape

Row = TypeVar("Row")
PAGES, PAGE_SIZES = range(1, 1_000_000_001), range(1, 101)
BATCH_ROWS = 500
Part: TypeAlias = tuple[list[list[Any]], tuple[Any, ...] | None]
"""The values of some rows, and the place of the last in the order if there is more behind it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A read-only moment of a read model, for statements of one's own."""

    conn: AsyncConnection
    table: Table
    position: int


class Source(Protocol):
    """
    What a read model reads: rows of a shape, kept by a projection of that name.

    Cursors are signed with its secret, which every process that serves it has.
    """

    shape: Shape
    name: str
    secret: bytes

    async def get(self, key: Any) -> Any | None:
        """The row of a key; None where there is none."""

    def snapshot(self) -> AbstractAsyncContextManager[Snapshot]:
        """The rows as they are at one moment."""


class ReadModel(Generic[Row]):
    """The rows that a projection keeps."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._columns: dict[str, Columns] = {}

    async def get(self, key: Any) -> Row | None:
        """
        The row of a key; None where there is none, as for a key that no column can hold.

        Raises:
            NotServed: The first build isn't done yet.
        """
        try:
            key = self._source.shape.key.value(key)
        except ValueError:
            return None
        row: Row | None = await self._source.get(key)
        return row if row is not None and is_visible(self._source.shape, self._source.name, row) else None

    async def page(
        self,
        where: Mapping[str, Any] | None = None,
        *,
        search: str | None = None,
        order_by: str | Sequence[str] | None = None,
        page: int = 1,
        page_size: int = 20,
        cursor: str | None = None,
        total: bool = True,
        highlight: bool = False,
    ) -> PaginatedResult[Row]:
        """
        A page of the rows that match, newest first unless ordered otherwise.

        Args:
            where: What key or indexed columns must be: a value; a list of values (at most 100); a range,
                `{"ge": 10, "lt": 20}` (also `gt`, `le`); or a beginning, `{"prefix": "AL"}`. A None filters nothing.
            search: Words that must all occur, "quoted words" side by side; the last word may go on. At most 32
                such terms, and 64 words.
                None searches nothing, and a text without a word finds nothing.
            order_by: A key or indexed column, with "-" before it for descending, or several of them;
                nulls come last. Rows of equal values stand in the order of the positions that made them.
                `RELEVANCE` ranks what a search finds, the newest 1,000 of it.
            page: 1 is the first, 1,000,000,000 the last that may be asked for.
            page_size: 1 to 100.
            cursor: From the page before: goes on behind it, without counting; *page* then doesn't matter.
                A walk by cursor meets every row once that has its place in the order all the while.
            total: Whether to count what matches, which takes longer the more there is.
            highlight: Whether to show, as HTML, where in its searched columns each row has what was searched.

        Raises:
            NotStorable: A value to filter by, or a search, that no column can hold.
            InvalidQuery: A column that isn't listed, a value of another type than its column, a search of too
                many words, a page that can't be, or a cursor of another question.
            Malformed: A cursor of nobody's.
        """
        question = self._question(where, search, order_by)
        _check_numbers(page, page_size)
        digest = digest_of([self._source.name, *question.told()])
        after = None if cursor is None else self._after(cursor, digest, question)
        async with self._source.snapshot() as at:
            columns = self._columns_of(at)
            counted = await _count(at, columns, question) if total and after is None else None
            offset = 0 if after else (page - 1) * page_size
            get = self._ranked if question.order.is_by_relevance else self._sorted
            found, end = await get(at, columns, question, after, slice(offset, offset + page_size))
        items: list[Row] = [columns.row(values) for values in found]
        next_cursor = None if end is None else Cursor(digest, end).encode(self._source.secret)
        snippets = await self._snippets(items, question.search) if highlight and question.search else None
        return PaginatedResult(items, counted, page, page_size, next_cursor, snippets)

    def stream(
        self,
        where: Mapping[str, Any] | None = None,
        *,
        search: str | None = None,
        order_by: str | Sequence[str] | None = None,
    ) -> AsyncIterator[Row]:
        """
        Every row that matches, one after another, a bounded number of them in memory; see `page`.

        No snapshot stays open meanwhile: it is a walk by cursor, and promises what that does. The question is
        settled by the call, whoever takes the rows, and when.

        Raises:
            NotStorable, InvalidQuery: See `page`.
        """
        question = self._question(where, search, order_by)
        if question.order.is_by_relevance:
            raise InvalidQuery("a stream has no order by relevance, which ranks no more than a part: name a column")
        return self._walk(question)

    def snapshot(self, *, all_rows: bool = False) -> AbstractAsyncContextManager[Snapshot]:
        """
        The served table, for statements of one's own on one moment.

        Args:
            all_rows: Whether the statements keep to `current_scope()` by themselves, where a policy set one.

        Raises:
            NotServed: The first build isn't done yet.
            Misuse: The query under way may see some rows only.
        """
        if not all_rows:
            insist_on_all_rows(self._source.name)
        return self._source.snapshot()

    async def _walk(self, question: Question) -> AsyncIterator[Row]:
        after: tuple[Any, ...] | None = None
        while True:
            async with self._source.snapshot() as at:
                columns = self._columns_of(at)
                found = await _all(at, columns, columns.rows(question, after, limit=BATCH_ROWS))
            for values in found:
                row: Row = columns.row(values)
                yield row
            if len(found) < BATCH_ROWS:
                return
            after = self._place(question, found[-1])

    def _question(
        self, where: Mapping[str, Any] | None, search: str | None, order_by: str | Sequence[str] | None
    ) -> Question:
        shape = self._source.shape
        check(search, "the search")
        if search is not None and not shape.searched:
            raise InvalidQuery(f"{self._source.name} has no searched columns: mark one as Searched[str]")
        order = order_of(shape, order_by)
        if order.is_by_relevance and search is None:
            raise InvalidQuery("no search to be relevant for: give one, or name a column to sort by")
        asked = conditions(shape, where) + conditions(shape, scope_of(shape, self._source.name))
        return Question(asked, None if search is None else Asked.of(search), order)

    async def _sorted(
        self, at: Snapshot, columns: Columns, question: Question, after: Sequence[Any] | None, part: slice
    ) -> Part:
        size = part.stop - part.start
        found = await _all(at, columns, columns.rows(question, after, limit=size + 1, offset=part.start))
        return found[:size], self._place(question, found[size - 1]) if len(found) > size else None

    async def _ranked(
        self, at: Snapshot, columns: Columns, question: Question, after: Sequence[Any] | None, part: slice
    ) -> Part:
        best, newest = await ranked(partial(_fetch, at), columns, question, after)
        wanted = best[part]
        if not wanted:
            return [], None
        by_key = Condition(self._source.shape.key.name, "IN", tuple(each.key for each in wanted))
        asked = Question((by_key,), None, question.order)
        number = {each.key: place for place, each in enumerate(wanted)}
        key = self._source.shape.names.index(by_key.column)
        found = await _all(at, columns, columns.rows(asked, None, limit=len(wanted)))
        found.sort(key=lambda values: number[values[key]])
        last = wanted[-1]
        return found, (newest, last.score, last.position, last.key) if len(best) > part.stop else None

    async def _snippets(self, rows: Sequence[Any], search: Asked) -> list[dict[str, str]]:
        """Where in its texts each row has what was searched."""
        shape, alphabet = self._source.shape, Alphabet(search)
        snippets: list[dict[str, str]] = []
        for row in rows:
            await asyncio.sleep(0)  # others have their turn
            texts = {name: shape.value(row, name) or "" for name in shape.searched}
            found = {name: highlighted(text, alphabet) for name, text in texts.items()}
            snippets.append({name: shown for name, shown in found.items() if shown is not None})
        return snippets

    def _columns_of(self, at: Snapshot) -> Columns:
        if at.table.name not in self._columns:
            self._columns[at.table.name] = Columns(self._source.shape, at.table, at.conn.dialect)
        return self._columns[at.table.name]

    def _place(self, question: Question, values: Sequence[Any]) -> tuple[Any, ...]:
        """A row's place in the order."""
        shape = self._source.shape
        found = dict(zip((*shape.names, POSITION), values, strict=True))
        names = [sort.column for sort in question.order.sorts]
        return tuple(shape.column(name).place(found[name]) if name in shape.cut else found[name] for name in names)

    def _after(self, cursor: str, digest: str, question: Question) -> tuple[Any, ...]:
        """The place that a cursor names, in the types of the columns."""
        decoded = Cursor.decode(cursor, self._source.secret)
        decoded.check(digest)
        names = [sort.column for sort in question.order.sorts]
        if question.order.is_by_relevance:
            names = [POSITION, POSITION, *names]  # the newest of all, the score, then how ties are broken
        try:
            return tuple(self._typed(name, value) for name, value in zip(names, decoded.values, strict=True))
        except ValueError as error:
            raise Malformed("cursor", "its values are of other types than the columns are now") from error

    def _typed(self, column: str, value: Any) -> Any:
        return value if value is None or column == POSITION else self._source.shape.column(column).value(value)


def _check_numbers(page: int, page_size: int) -> None:
    for what, number, allowed in (("page", page, PAGES), ("page_size", page_size, PAGE_SIZES)):
        if number not in allowed:
            raise InvalidQuery(f"{what} {number}: {allowed[0]} to {allowed[-1]}")


async def _count(at: Snapshot, columns: Columns, question: Question) -> int:
    text, parameters = columns.count(question)
    counted: int = (await at.conn.exec_driver_sql(text, parameters)).scalar_one()
    return counted


async def _all(at: Snapshot, columns: Columns, statement: tuple[str, tuple[Any, ...]]) -> list[list[Any]]:
    return [columns.values(row) for row in await _fetch(at, statement)]


async def _fetch(at: Snapshot, statement: tuple[str, tuple[Any, ...]]) -> Sequence[Sequence[Any]]:
    text, parameters = statement
    return (await at.conn.exec_driver_sql(text, parameters)).all()
