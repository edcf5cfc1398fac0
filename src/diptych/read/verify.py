"""
Hold what is served against a fold over the log, while the projection goes on.

The log is folded into a shadow, by the code that follows it, up to the very
position that a snapshot of the served tables is at; then both are compared row by
row. Nothing that is served is written or waits.
"""

import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import LogRewound, NotServed, Unavailable
from diptych.log import EventStore
from diptych.read import checkpoint
from diptych.read.checkpoint import Checkpoint, FencedOut, Generation, new_owner
from diptych.read.comparison import Difference, Side, differences
from diptych.read.database import ReadDatabase
from diptych.read.follower import REPAIR, Follower, why_no_place
from diptych.read.generations import catch_up, drop, make, remove_unowned, shadow_of
from diptych.read.projection import AnyProjection
from diptych.read.projector import Projector, projector
from diptych.read.wait import Watcher

FIRST = 20
_logger = logging.getLogger("diptych.projection")


@dataclass(frozen=True, slots=True)
class Verification:
    """
    What came of holding the served rows against a fold over the log.

    Attributes:
        position: Where both were.
        rows: How many were compared.
        missing: How many the log folds to that are not there.
        extra: How many are there that the log doesn't fold to.
        different: How many have another value in some column.
        first: The first of them, table by table in the order of their keys, with both values.
    """

    of: Generation
    position: int
    rows: int
    missing: int
    extra: int
    different: int
    first: Sequence[Difference]

    @property
    def ok(self) -> bool:
        """Whether every row is as the log folds to it."""
        return not (self.missing or self.extra or self.different)

    def __str__(self) -> str:
        what = f"projection {self.of.projection!r} at position {self.position}: {self.rows} rows"
        if self.ok:
            return f"{what}, each as the log folds to it"
        found = f"{what}, {self.missing} missing, {self.extra} extra, {self.different} different"
        return "; ".join([found, *map(str, self.first)])


async def verify(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection, watcher: Watcher, *, first: int = FIRST
) -> Verification:
    """
    Compare what is served with a fold over the log up to the same position.

    Args:
        first: How many differing rows to report with both values; all are counted.

    Raises:
        NotServed: The first build isn't done yet.
        LogRewound: What is served is no place in this log.
        Unavailable: It is being verified elsewhere, or was switched meanwhile: try again.
        Exception: What a handler raised.
    """
    try:
        async with _shadow(event_store, read_db, projection, watcher) as built:
            return await compare_with_served(event_store, read_db, projection, built, first=first)
    except FencedOut:
        raise Unavailable(f"projection {projection.name!r} was rebuilt meanwhile: verify it again") from None


async def compare_with_served(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection, built: Follower, *, first: int = FIRST
) -> Verification:
    """
    Bring a build that is not ahead of what is served up to where a snapshot of that is, and compare the two there.

    Raises:
        NotServed: Nothing is served.
        LogRewound: What is served is no place in this log.
    """
    # Most of the way without a snapshot: one that is open for long keeps a database from tidying up.
    async with read_db.snapshot() as connection:
        found = await _served(connection, event_store, built.of)
    await catch_up(built, through=found.position)
    async with read_db.snapshot() as connection:
        found = await _served(connection, event_store, built.of)
        await catch_up(built, through=found.position)
        served = projector(projection, found.of)
        async with read_db.snapshot() as other:
            return await _compared(found, _sides(connection, served, other, built.projector), first)


async def _served(connection: AsyncConnection, event_store: EventStore, of: Generation) -> Checkpoint:
    found = await checkpoint.served(connection, of.projection, of.version)
    if found is None:
        raise NotServed(of.projection, of.version)
    if why := await why_no_place(event_store, found):
        raise LogRewound(who=f"projection {of.projection!r} at position {found.position}", why=why, repair=REPAIR)
    return found


@asynccontextmanager
async def _shadow(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection, watcher: Watcher
) -> AsyncIterator[Follower]:
    """Tables that nobody serves, for as long as the block runs; what a crash left of former ones goes first."""
    follower = Follower(
        event_store, read_db, projection, shadow_of(projection.name, projection.version), watcher, publish=False
    )
    async with read_db.begin() as connection:
        await checkpoint.take_turns(connection, projection.name)
        await remove_unowned(connection, follower.of, "verified")
        await make(connection, event_store, follower.projector)
    try:
        if not await follower.claim(new_owner()):
            raise Unavailable(f"projection {projection.name!r} is being verified by another worker: wait for it")
        yield follower
    finally:
        await _let_go(read_db, follower)


async def _let_go(read_db: ReadDatabase, follower: Follower) -> None:
    try:
        await drop(read_db, follower.of)
    except Unavailable as error:
        _logger.warning("what %s was verified by stays until the next time: %s", follower.of.projection, error)


def _sides(
    connection: AsyncConnection, served: Projector, other: AsyncConnection, built: Projector
) -> Iterator[tuple[str, Side, Side]]:
    there = served.tables()
    for name, table in built.tables().items():
        columns = [column.name for column in table.columns]
        yield name, Side(connection, there[name], columns), Side(other, table, columns)


async def _compared(found: Checkpoint, tables: Iterable[tuple[str, Side, Side]], first: int) -> Verification:
    kinds, differ, rows = Counter[str](), list[Difference](), 0
    for name, there, expected in tables:
        async for each in differences(name, there, expected):
            rows += 1
            if each is not None:
                kinds[each.kind] += 1
                differ += [each] if len(differ) < first else []
    return Verification(
        found.of, found.position, rows, kinds["missing"], kinds["extra"], kinds["different"], first=differ
    )
