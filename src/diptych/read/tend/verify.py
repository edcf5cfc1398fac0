"""
Hold what is served against a fold over the log, while the projection goes on.

The log is folded into a shadow, by the code that follows it, up to the very
position that a snapshot of the served tables is at; then both are compared row by
row. Nothing that is served is written or waits.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from sqlalchemy import Column, MetaData, Table
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import BadProjection, LogRewound, NotServed, Unavailable
from diptych.log import EventStore
from diptych.read.books import checkpoint, turns
from diptych.read.books.checkpoint import Checkpoint, FencedOut, Generation, Plan, new_owner
from diptych.read.books.wait import Watcher
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.generations import drop, make, remove_unowned, shadow_of
from diptych.read.follow.place import REPAIR, why_no_place
from diptych.read.projections.projection import AnyProjection
from diptych.read.projections.projector import Projector
from diptych.read.tend.acts import Act, likely, naming_skips, skips
from diptych.read.tend.build import Build
from diptych.read.tend.comparison import Difference, Side, differences

FIRST = 20
PATIENCE_S, AGAIN_S = 30.0, 0.02
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
        skipped: Where a row differs, which events were skipped by hand up to the position: a likely reason, unless
            it was rebuilt since.
    """

    of: Generation
    position: int
    rows: int
    missing: int
    extra: int
    different: int
    first: Sequence[Difference]
    skipped: Sequence[Act] = ()

    @property
    def ok(self) -> bool:
        """Whether every row is as the log folds to it."""
        return not (self.missing or self.extra or self.different)

    def __str__(self) -> str:
        what = f"projection {self.of.projection!r} at position {self.position}: {self.rows} rows"
        if self.ok:
            return f"{what}, each as the log folds to it"
        found = f"{what}, {self.missing} missing, {self.extra} extra, {self.different} different"
        return "; ".join([found, *map(str, self.first), *map(likely, self.skipped)])


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
        EventFailed: The projection's code fails at an event, such as one that was skipped.
        Unreadable: An event can't be read.
    """
    try:
        async with naming_skips(read_db), _shadow(event_store, read_db, projection, watcher) as built:
            return await compare_with_served(event_store, read_db, built, version=projection.version, first=first)
    except FencedOut:
        raise Unavailable(f"projection {projection.name!r} was rebuilt meanwhile: verify it again") from None


async def compare_with_served(
    event_store: EventStore, read_db: ReadDatabase, built: Build, *, version: int, first: int = FIRST
) -> Verification:
    """
    Bring a build up to where a snapshot of what a version serves is, and compare the two there.

    Args:
        version: The build's own, or another: then the columns are compared that both keep alike.

    Raises:
        NotServed: It serves nothing.
        LogRewound: What it serves is no place in this log.
        Unavailable: It stands still behind the build.
        BadProjection: There is nothing in it that could be compared.
    """
    # Most of the way without a snapshot: one that is open for long keeps a database from tidying up.
    await built.catch_up(through=await _beyond(event_store, read_db, built, version))
    async with read_db.snapshot() as connection:
        parts = await _served(connection, event_store, built.of.projection, version)
        found = checkpoint.together(parts)
        plan = await checkpoint.plan(connection, found.of)
        await built.catch_up(through=_ends(parts, built))
        async with built.kept_alive(), read_db.snapshot() as other:
            sides = [
                (name, Side(connection, there, columns), Side(other, table, columns))
                for name, there, table, columns in _alike(built.projector, found.of, plan)
            ]
            compared = await _compared(found, sides, first)
        await built.keep()
    return compared if compared.ok else replace(compared, skipped=await _skipped(read_db, compared))


async def _skipped(read_db: ReadDatabase, found: Verification) -> tuple[Act, ...]:
    """Which events had no effect on what was compared, by an order."""
    of = found.of
    skipped = await skips(read_db, of.projection)
    return tuple(each for each in skipped if each.version == of.version and (each.position or 0) <= found.position)


async def served_to_compare(read_db: ReadDatabase, built: Build) -> Checkpoint | None:
    """
    What a build can be compared with: what its version serves, or else the version before it.

    Raises:
        BadProjection: That has other partitions, which are not all at one position: known before anything is built.
    """
    async with read_db.snapshot() as connection:
        served = [each for each in await checkpoint.all_of(connection) if each.served]
    of = built.of
    mine = [each for each in served if each.of.projection == of.projection and each.of.version <= of.version]
    found = min(mine, key=lambda each: (-each.of.version, each.position), default=None)
    if found is not None:
        _ends([each for each in mine if each.of == found.of], built)
    return found


async def _beyond(event_store: EventStore, read_db: ReadDatabase, built: Build, version: int) -> Mapping[int, int]:
    """Where each partition of what a version serves is, once none is behind the build."""
    deadline = asyncio.get_running_loop().time() + PATIENCE_S
    async with built.kept_alive():
        while True:
            async with read_db.snapshot() as connection:
                parts = await _served(connection, event_store, built.of.projection, version)
            ends = _ends(parts, built)
            if all(ends[partition] >= position for partition, position in built.positions.items()):
                return ends
            if asyncio.get_running_loop().time() > deadline:
                raise Unavailable(
                    f"what projection {built.of.projection!r} serves stands still at {min(ends.values())}, behind what "
                    f"was built ({built.position}): mend it, and compare the two then"
                )
            await asyncio.sleep(AGAIN_S)


def _ends(parts: Sequence[Checkpoint], built: Build) -> Mapping[int, int]:
    """
    How far each partition of a build is to come, to be where a snapshot is.

    Raises:
        BadProjection: That has other partitions, which are not all at one position.
    """
    if len(parts) == len(built.parts):
        return {part.partition: part.position for part in parts}
    positions = {part.position for part in parts}
    if len(positions) == 1:
        return dict.fromkeys(built.positions, positions.pop())
    raise BadProjection(
        f"version {parts[0].of.version} of projection {built.of.projection!r} has {len(parts)} partitions that are not "
        f"at one position, and can't be compared with {len(built.parts)}: pause it, or rebuild without the check"
    )


async def _served(connection: AsyncConnection, event_store: EventStore, name: str, version: int) -> list[Checkpoint]:
    every = await checkpoint.all_of(connection)
    parts = [each for each in every if each.served and (each.of.projection, each.of.version) == (name, version)]
    if not parts:
        raise NotServed(name, version)
    for part in parts:
        if why := await why_no_place(event_store, part):
            raise LogRewound(who=f"projection {name!r} at position {part.position}", why=why, repair=REPAIR)
    return parts


def _alike(built: Projector, served: Generation, plan: Plan | None) -> Iterator[tuple[str, Table, Table, list[str]]]:
    """
    The tables that both keep under one logical name and key: its name, both of them, and the columns kept alike.

    Raises:
        BadProjection: None.
    """
    was, now = plan.described() if plan else {}, built.described()
    found = False
    for name, table in built.tables().items():
        there = was.get(f"{name}{served.suffix}", {})
        told = now[table.name]
        columns = [
            column
            for column in table.columns
            if (
                there.get(column.name) == told[column.name]
                if column.name in told
                else served.version == built.of.version
            )
        ]
        if there and set(table.primary_key) <= set(columns):
            found = True
            same = [Column(each.name, each.type, primary_key=each.primary_key) for each in columns]
            yield name, Table(f"{name}{served.suffix}", MetaData(), *same), table, [each.name for each in columns]
    if not found:
        raise BadProjection(
            f"projection {served.projection!r} version {served.version} keeps no table that can be compared with "
            f"version {built.of.version}: its keys are others"
        )


@asynccontextmanager
async def _shadow(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection, watcher: Watcher
) -> AsyncIterator[Build]:
    """Tables that nobody serves, for as long as the block runs; what a crash left of former ones goes first."""
    shadow = Build(event_store, read_db, projection, shadow_of(projection.name, projection.version), watcher)
    async with read_db.begin() as connection:
        await turns.take(connection, projection.name)
        await remove_unowned(connection, shadow.of, "verified")
        await make(connection, event_store, shadow.projector, projection.partitions)
    try:
        if not await shadow.claim(new_owner()):
            raise Unavailable(f"projection {projection.name!r} is being verified by another worker: wait for it")
        yield shadow
    finally:
        await _let_go(read_db, shadow)


async def _let_go(read_db: ReadDatabase, shadow: Build) -> None:
    try:
        await drop(read_db, shadow.of)
    except Unavailable as error:
        _logger.warning("what %s was verified by stays until the next time: %s", shadow.of.projection, error)


async def _compared(found: Checkpoint, tables: Sequence[tuple[str, Side, Side]], first: int) -> Verification:
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
