"""
Make the physical builds of a projection, bring them up to the log, and remove them.

A build is a generation: tables that carry its number in their names, and a row of
the bookkeeping. Whoever makes, drops or switches generations of a projection takes turns.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager, suppress

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import Unavailable
from diptych.log import EventStore
from diptych.read import checkpoint
from diptych.read.checkpoint import LEASE_S, Checkpoint, FencedOut, Generation, Paused, new_owner
from diptych.read.database import ReadDatabase
from diptych.read.follower import Follower, why_no_place
from diptych.read.projection import AnyProjection
from diptych.read.projector import Projector, projector
from diptych.read.runner import BATCH_EVENTS, back_off_s
from diptych.read.tables import drop_table
from diptych.store.port import Page

SNAPSHOTS_S = 5.0
PAUSED_S = 0.3
_logger = logging.getLogger("diptych.projection")


def shadow_of(name: str, version: int) -> Generation:
    """The generation that a projection is verified by: no build, and never served."""
    return Generation(name, version, 0)


async def prepare(event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection) -> Generation:
    """
    The generation to keep in step: the served one, or a first one with new tables.

    Raises:
        Unavailable: Other code is building the first one.
    """
    async with read_db.begin() as connection:
        await checkpoint.take_turns(connection, projection.name)
        found = await checkpoint.served(connection, projection.name, projection.version)
        return found.of if found else await taken_up(connection, event_store, projection, None)


async def taken_up(
    connection: AsyncConnection, event_store: EventStore, projection: AnyProjection, served: Checkpoint | None
) -> Generation:
    """
    The generation that was begun to follow the served one, as far as it was built by this very code from
    this log; else a new one.

    Raises:
        Unavailable: Other code is building it.
    """
    newest = shadow_of(projection.name, projection.version)
    for each in await checkpoint.all_of(connection):
        if not each.of.follows(newest):
            continue
        newest = each.of
        if each.kept_until is None and (served is None or each.of.follows(served.of)):
            if await _may_go_on(connection, event_store, projection, each):
                return each.of
            await remove_unowned(connection, each.of, "built")
    new = projector(projection, newest.next())
    await make(connection, event_store, new)
    return new.of


async def make(connection: AsyncConnection, event_store: EventStore, new: Projector) -> None:
    """Begin a generation: empty tables, at the start of the log."""
    await checkpoint.add(connection, new.of, event_store.identity, new.plan)
    await new.create(connection)


async def remove_unowned(connection: AsyncConnection, of: Generation, what: str) -> None:
    """
    Remove a generation that may be there, unless a worker is at it.

    Raises:
        Unavailable: One is.
    """
    if await checkpoint.get(connection, of) is None:
        return
    if await checkpoint.claim(connection, of, new_owner()) is None:
        raise Unavailable(f"projection {of.projection!r} is being {what} by another worker: wait for it")
    await _remove(connection, of)


async def drop(read_db: ReadDatabase, of: Generation) -> None:
    """Remove a generation, tables and bookkeeping; one that is served stays."""
    async with read_db.begin() as connection:
        await checkpoint.take_turns(connection, of.projection)
        served = await checkpoint.served(connection, of.projection, of.version)
        if served is None or served.of != of:
            await _remove(connection, of)


async def tidy(read_db: ReadDatabase, projection: AnyProjection) -> None:
    """Remove what was served before and isn't kept any more; of several that are kept, the newest stays."""
    async with read_db.snapshot() as connection:
        found = of_no_use(await checkpoint.all_of(connection), projection, await checkpoint.now(connection))
    if not found:
        return
    if not await read_db.snapshots_end(SNAPSHOTS_S):
        _logger.warning("what %s served before is still read: its tables stay until later", projection.name)
        return
    for of in found:
        await drop(read_db, of)


def to_keep(rows: Iterable[Checkpoint], projection: AnyProjection, now: int) -> list[Generation]:
    """The generations of a projection to keep in step: the served one, and what was served before, if it is kept."""
    mine = [each for each in rows if _is_of(each, projection)]
    kept = newest_kept(mine, projection, now)
    return list(dict.fromkeys(each.of for each in mine if each.served or each == kept))


def of_no_use(rows: Iterable[Checkpoint], projection: AnyProjection, now: int) -> set[Generation]:
    """The generations of a projection that were served once, and are neither served nor kept any more."""
    rows = list(rows)
    kept = newest_kept(rows, projection, now)
    served = next((each.of for each in rows if each.served and _is_of(each, projection)), None)
    return {
        each.of
        for each in rows
        if _is_of(each, projection)
        and each.of not in {served, kept and kept.of, shadow_of(projection.name, projection.version)}
        and (each.kept_until is not None or (served is not None and served.follows(each.of)))
    }


def newest_kept(rows: Iterable[Checkpoint], projection: AnyProjection, now: int) -> Checkpoint | None:
    """What was served before the last switch, if it is kept still."""
    kept = [each for each in rows if _is_of(each, projection) and not each.served and (each.kept_until or 0) > now]
    return max(kept, key=lambda each: each.kept_until or 0, default=None)


def _is_of(each: Checkpoint, projection: AnyProjection) -> bool:
    return (each.of.projection, each.of.version) == (projection.name, projection.version)


async def catch_up(
    read_db: ReadDatabase,
    follower: Follower,
    *,
    through: int | None = None,
    moved: Callable[[int], Awaitable[None]] | None = None,
) -> None:
    """
    Apply what the log holds; while a database is away, or somebody has paused it, wait.

    Args:
        through: Up to here and no further; None takes all there is.
        moved: Told of each position reached.
    """
    tries = 0
    while through is None or follower.position < through:
        try:
            page = await follower.read(BATCH_EVENTS)
            if page is None:
                return
            await follower.apply(page if through is None else _up_to(page, through))
            tries = 0
        except Unavailable as error:
            _logger.warning("the build of %s waits, a database is away: %s", follower.of.projection, error)
            await asyncio.sleep(back_off_s(tries))
            tries += 1
        except Paused:
            await _keep(read_db, follower)
            await asyncio.sleep(PAUSED_S)
        else:
            if moved is not None:
                await moved(follower.position)


@asynccontextmanager
async def kept_alive(read_db: ReadDatabase, follower: Follower) -> AsyncIterator[None]:
    """
    Extend the lease while the block does something else than apply events.

    Raises:
        FencedOut: It was lost meanwhile.
    """

    async def keep_on() -> None:
        while True:
            await asyncio.sleep(LEASE_S / 3)
            with suppress(Unavailable, FencedOut):
                await _keep(read_db, follower)

    keeping = asyncio.create_task(keep_on(), name="diptych-lease")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])
    await _keep(read_db, follower)


async def _keep(read_db: ReadDatabase, follower: Follower) -> None:
    async with read_db.begin() as connection:
        await checkpoint.keep(connection, held(follower))


def held(follower: Follower) -> Checkpoint:
    """
    What a follower owns.

    Raises:
        FencedOut: Nothing any more.
    """
    if follower.held is None:
        raise FencedOut
    return follower.held


def _up_to(page: Page, through: int) -> Page:
    """The part of a page that reaches up to a position."""
    if page.through <= through:
        return page
    return Page([event for event in page.events if event.position <= through], through)


async def _may_go_on(
    connection: AsyncConnection, event_store: EventStore, projection: AnyProjection, begun: Checkpoint
) -> bool:
    same_code = await checkpoint.plan(connection, begun.of) == projector(projection, begun.of).plan
    return same_code and await why_no_place(event_store, begun) is None


async def _remove(connection: AsyncConnection, of: Generation) -> None:
    built = await checkpoint.plan(connection, of)
    await checkpoint.drop(connection, of)  # first: a batch under way ends before, and another finds itself fenced out
    for table in built.described() if built else ():
        await drop_table(connection, table)
