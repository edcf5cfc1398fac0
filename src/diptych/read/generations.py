"""
Make the physical builds of a projection, bring them up to the log, and remove them.

A build is a generation: tables that carry its number in their names, and a row of
the bookkeeping. Whoever makes, drops or switches generations of a projection takes turns.
"""

import asyncio
import logging
from collections.abc import Callable

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import Unavailable
from diptych.log import EventStore
from diptych.read import checkpoint
from diptych.read.checkpoint import Checkpoint, Generation, new_owner
from diptych.read.database import ReadDatabase
from diptych.read.follower import Follower, why_no_place
from diptych.read.projection import AnyProjection
from diptych.read.projector import Projector, projector
from diptych.read.runner import BATCH_EVENTS, back_off_s
from diptych.read.tables import drop_table
from diptych.store.port import Page

SNAPSHOTS_S = 5.0
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
        none = Generation(projection.name, projection.version, 0)
        return found.of if found else await taken_up(connection, event_store, projection, none)


async def taken_up(
    connection: AsyncConnection, event_store: EventStore, projection: AnyProjection, after: Generation
) -> Generation:
    """
    The generation after one, as far as it was built by this very code from this log; else a new one.

    Raises:
        Unavailable: Other code is building it.
    """
    newest = after
    for begun in await checkpoint.all_of(connection):
        if not begun.of.follows(after):
            continue
        if await _may_go_on(connection, event_store, projection, begun):
            return begun.of
        await remove_unowned(connection, begun.of, "built")
        newest = begun.of
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


async def drop_before(read_db: ReadDatabase, projection: AnyProjection, kept: Generation) -> None:
    """Remove every earlier generation of a version; a later one is somebody's next."""
    if not await read_db.snapshots_end(SNAPSHOTS_S):
        _logger.warning("what %s served before is still read: its tables stay until the next rebuild", projection.name)
        return
    async with read_db.snapshot() as connection:
        every = [each.of for each in await checkpoint.all_of(connection)]
    for of in every:
        if kept.follows(of) and of != shadow_of(of.projection, of.version):
            await drop(read_db, of)


async def catch_up(
    follower: Follower, *, through: int | None = None, moved: Callable[[int], None] | None = None
) -> None:
    """
    Apply what the log holds; while a database is away, wait for it.

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
        else:
            if moved is not None:
                moved(follower.position)


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
    for table in built.described() if built else ():
        await drop_table(connection, table)
    await checkpoint.drop(connection, of)
