"""
Fold a batch of events into rows: load what it touches, fold in memory, write back.

One query and one write per table and batch, whatever the number of events. Rows
made or changed earlier in the batch are seen by later events.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import BadProjection
from diptych.event import RecordedEvent
from diptych.read.projections.batch import collector_paused
from diptych.read.projections.partitions import Mine
from diptych.read.projections.projection import TableProjection, TwoRoundProjection
from diptych.read.projections.statements import Statements


class RowCache:
    """
    The rows of one table that a batch touches, and what became of them.

    Attributes:
        get: The row of a key as the batch has left it so far; None where there is none.
    """

    def __init__(self, statements: Statements, rows: dict[Any, tuple[Any, int]]) -> None:
        self._statements, self._key_of = statements, statements.shape.key_of
        self._stored: dict[Any, Any] = {key: row for key, (row, _) in rows.items()}
        self._rows = dict(self._stored)
        self._made_at: dict[Any, int] = {key: position for key, (_, position) in rows.items()}
        self._returned: set[Any] = set()
        self._deleted: dict[Any, None] = {}
        self.get: Callable[[Any], Any | None] = self._rows.get

    @classmethod
    async def load(cls, connection: AsyncConnection, statements: Statements, keys: Iterable[Any]) -> "RowCache":
        """The rows of these keys, in one query."""
        return cls(statements, await statements.select_by_keys(connection, list(dict.fromkeys(keys))))

    def put(self, key: Any, before: Any | None, row: Any | None, position: int) -> None:
        """Take what became of a row at *position*; None deletes it."""
        if row is None:
            if before is not None:
                self._delete(key)
        elif self._key_of(row) != key:
            raise BadProjection(
                f"evolve was asked for the row {key!r} and returned row {self._key_of(row)!r}: a row keeps its key"
            )
        elif row is before:
            self._returned.add(key)
        else:
            self._rows[key] = row
            if before is None:
                self._made_at[key] = position

    async def write(self, connection: AsyncConnection) -> None:
        """Write back what changed: deletions in one statement, then rows in one."""
        if self._deleted:
            await self._statements.delete(connection, list(self._deleted))
        if changed := [key for key, row in self._rows.items() if self._is_changed(key, row)]:
            await self._statements.upsert(connection, [(self._rows[key], self._made_at[key]) for key in changed])

    def _is_changed(self, key: Any, row: Any) -> bool:
        if row is not self._stored.get(key):
            return True
        return key in self._returned and self._statements.shape.may_change_in_place

    def _delete(self, key: Any) -> None:
        self._rows.pop(key, None)
        self._made_at.pop(key, None)
        self._returned.discard(key)
        if key in self._stored:
            self._deleted[key] = None


async def fold_table(
    projection: TableProjection[Any, Any],
    connection: AsyncConnection,
    statements: Statements,
    events: Sequence[RecordedEvent[Any]],
    mine: Mine = tuple,
) -> None:
    """Apply a batch to a table projection; *mine* takes the keys to apply out of those that an event touches."""
    with collector_paused():
        touched = [mine(projection.keys(event)) for event in events]
    rows = await RowCache.load(connection, statements, chain.from_iterable(touched))
    with collector_paused():
        for event, keys in zip(events, touched, strict=True):
            for key in keys:
                before = rows.get(key)
                after = projection.evolve(projection.initial(key) if before is None else before, event)
                rows.put(key, before, after, event.global_position)
    await rows.write(connection)


async def fold_two_rounds(
    projection: TwoRoundProjection[Any, Any, Any],
    connection: AsyncConnection,
    statements: tuple[Statements, Statements],
    events: Sequence[RecordedEvent[Any]],
) -> None:
    """Apply a batch to a two-round projection: all memos first, then all rows."""
    memo_keys = [tuple(projection.memo_keys(event)) for event in events]
    memos = await RowCache.load(connection, statements[0], chain.from_iterable(memo_keys))
    with collector_paused():
        remembered = list(_remembered(projection, memos, zip(events, memo_keys, strict=True)))
        touched = [tuple(projection.keys(event, memo)) for event, memo in remembered]
    rows = await RowCache.load(connection, statements[1], chain.from_iterable(touched))
    with collector_paused():
        for (event, memo), keys in zip(remembered, touched, strict=True):
            for key in keys:
                before = rows.get(key)
                rows.put(key, before, projection.evolve(before, event, memo), event.global_position)
    await memos.write(connection)
    await rows.write(connection)


def _remembered(
    projection: TwoRoundProjection[Any, Any, Any],
    memos: RowCache,
    events: Iterable[tuple[RecordedEvent[Any], Sequence[Any]]],
) -> Iterator[tuple[RecordedEvent[Any], Any]]:
    """Each event with the memo after it; with the last one known where the event made it go."""
    for event, keys in events:
        for key in keys:
            before = memos.get(key)
            # A dict may be changed in place: what was remembered for earlier events stays as it was.
            after = projection.remember(dict(before) if isinstance(before, dict) else before, event)
            memos.put(key, before, after, event.global_position)
            memo = before if after is None else after
            if memo is not None:
                yield event, memo
