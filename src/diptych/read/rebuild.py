"""
Build a projection anew beside the served one, then point queries at it.

The served tables answer all the time and are never emptied (P8): the switch
moves a pointer, in a transaction that has seen the new checkpoint at or beyond
the old one. What fails leaves everything as it was.
"""

import asyncio
import logging
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import NotServed, Unavailable
from diptych.log import EventStore
from diptych.read import checkpoint
from diptych.read.checkpoint import Checkpoint, FencedOut, Generation, new_owner
from diptych.read.database import ReadDatabase
from diptych.read.follower import Follower, why_no_place
from diptych.read.projection import AnyProjection
from diptych.read.projector import projector
from diptych.read.runner import BATCH_EVENTS, back_off_s
from diptych.read.tables import drop_table
from diptych.read.wait import Watcher

SNAPSHOTS_S = 5.0
_logger = logging.getLogger("diptych.projection")


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
        return found.of if found else await _taken_up(connection, event_store, projection, none)


async def rebuild(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection, watcher: Watcher
) -> Generation:
    """
    Build the next generation and serve it; one that a crash left half built is built to its end,
    unless it came from other code or from another log.

    Returns:
        The generation that is served now.

    Raises:
        NotServed: The first build isn't done yet.
        Unavailable: Another worker is building it.
        Exception: What a handler raised; the old generation stays served.
    """
    old, new = await _begin(event_store, read_db, projection)
    follower = Follower(event_store, read_db, projection, new, watcher, publish=False)
    if not await follower.claim(new_owner()):
        raise _other_worker(projection.name)
    try:
        await _build(follower, read_db)
        while not await _switch(event_store, read_db, old, new):
            await _catch_up(follower)
    except FencedOut:
        raise _other_worker(projection.name) from None
    except Unavailable:
        raise  # what is built stays, and the next rebuild goes on with it
    except Exception:
        await _give_up(read_db, new)
        raise
    finally:
        with suppress(Unavailable):  # the lease then runs out by itself
            await follower.release()
    watcher.look()
    return new


async def drop_before(read_db: ReadDatabase, projection: AnyProjection, kept: Generation) -> None:
    """Remove every earlier generation of a version; a later one is somebody's next."""
    if not await read_db.snapshots_end(SNAPSHOTS_S):
        _logger.warning("what %s served before is still read: its tables stay until the next rebuild", projection.name)
        return
    async with read_db.snapshot() as connection:
        every = [each.of for each in await checkpoint.all_of(connection)]
    for of in every:
        if kept.follows(of):
            await drop(read_db, of)


async def drop(read_db: ReadDatabase, of: Generation) -> None:
    """Remove a generation, tables and bookkeeping; one that is served stays."""
    async with read_db.begin() as connection:
        await checkpoint.take_turns(connection, of.projection)
        served = await checkpoint.served(connection, of.projection, of.version)
        if served is None or served.of != of:
            await _remove(connection, of)


async def _begin(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection
) -> tuple[Generation, Generation]:
    async with read_db.begin() as connection:
        await checkpoint.take_turns(connection, projection.name)
        found = await checkpoint.served(connection, projection.name, projection.version)
        if found is None:
            raise NotServed(projection.name, projection.version)
        return found.of, await _taken_up(connection, event_store, projection, found.of)


async def _taken_up(
    connection: AsyncConnection, event_store: EventStore, projection: AnyProjection, after: Generation
) -> Generation:
    """The generation after one, as far as it was built by this very code from this log; else a new one."""
    newest = after
    for begun in await checkpoint.all_of(connection):
        if not begun.of.follows(after):
            continue
        if await _may_go_on(connection, event_store, projection, begun):
            return begun.of
        if await checkpoint.claim(connection, begun.of, new_owner()) is None:
            raise _other_worker(projection.name)
        await _remove(connection, begun.of)
        newest = begun.of
    new = projector(projection, newest.next())
    await checkpoint.add(connection, new.of, event_store.identity, new.plan)
    await new.create(connection)
    return new.of


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


async def _build(follower: Follower, read_db: ReadDatabase) -> None:
    await _catch_up(follower)
    async with read_db.begin() as connection:
        await follower.projector.index(connection)


async def _catch_up(follower: Follower) -> None:
    """Apply all that the log holds; while a database is away, wait for it."""
    tries = 0
    while True:
        try:
            page = await follower.read(BATCH_EVENTS)
            if page is None:
                return
            await follower.apply(page)
            tries = 0
        except Unavailable as error:
            _logger.warning("the rebuild of %s waits, a database is away: %s", follower.of.projection, error)
            await asyncio.sleep(back_off_s(tries))
            tries += 1


async def _give_up(read_db: ReadDatabase, new: Generation) -> None:
    try:
        await drop(read_db, new)
    except Unavailable as error:
        _logger.warning("what was built of %s stays until the next rebuild: %s", new.projection, error)


async def _switch(event_store: EventStore, read_db: ReadDatabase, old: Generation, new: Generation) -> bool:
    """Point queries at the new generation, unless the old one is ahead of it."""
    async with read_db.begin() as connection:
        await checkpoint.take_turns(connection, new.projection)
        served, built = await checkpoint.hold(connection, old), await checkpoint.hold(connection, new)
        if served is None or built is None:
            raise NotServed(new.projection, new.version)
        # What was built from another log, or from a future that was lost, can't be caught up with.
        if built.position < served.position and await why_no_place(event_store, served) is None:
            return False
        if not await checkpoint.switch(connection, old, new):
            raise _other_worker(new.projection)
        return True


def _other_worker(name: str) -> Unavailable:
    return Unavailable(f"projection {name!r} is being built by another worker: wait for it")
