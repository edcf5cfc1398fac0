"""
Build a projection anew beside the served one, then point queries at it.

The served tables answer all the time and are never emptied (P8): the switch
moves a pointer, in a transaction that has seen the new checkpoint at or beyond
the old one. What fails leaves everything as it was.
"""

import asyncio
import logging
from contextlib import suppress

from diptych.errors import NotServed, Unavailable
from diptych.log import EventStore
from diptych.read import checkpoint
from diptych.read.checkpoint import FencedOut, Generation, new_owner
from diptych.read.database import ReadDatabase
from diptych.read.follower import Follower, why_no_place
from diptych.read.projection import AnyProjection
from diptych.read.projector import projector
from diptych.read.runner import BATCH_EVENTS, back_off_s
from diptych.read.wait import Watcher

SNAPSHOTS_S = 5.0
_logger = logging.getLogger("diptych.projection")


async def prepare(event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection) -> Generation:
    """The generation to keep in step: the served one, or a first one with new tables."""
    async with read_db.begin() as connection:
        await checkpoint.take_turns(connection, projection.name)
        found = await checkpoint.served(connection, projection.name, projection.version)
        of = found.of if found else Generation(projection.name, projection.version)
        if await checkpoint.add(connection, of, event_store.identity):
            await projector(projection, of).create(connection)
    return of


async def rebuild(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection, watcher: Watcher
) -> Generation:
    """
    Build the next generation and serve it; one that a crash left half built is built to its end.

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
    except FencedOut:
        raise _other_worker(projection.name) from None
    except Exception:
        await _give_up(read_db, projection, new)
        raise
    while not await _switch(event_store, read_db, old, new):
        await _catch_up(follower)
    watcher.look()
    with suppress(Unavailable):  # the lease then runs out by itself
        await follower.release()
    return new


async def drop_all_but(read_db: ReadDatabase, projection: AnyProjection, kept: Generation) -> None:
    """Remove every other generation of a version, those too that an earlier crash left behind."""
    if not await read_db.snapshots_end(SNAPSHOTS_S):
        _logger.warning("what %s served before is still read: its tables stay until the next rebuild", projection.name)
        return
    async with read_db.snapshot() as connection:
        every = [each.of for each in await checkpoint.all_of(connection)]
    for of in every:
        if of != kept and (of.projection, of.version) == (kept.projection, kept.version):
            await drop(read_db, projection, of)


async def drop(read_db: ReadDatabase, projection: AnyProjection, of: Generation) -> None:
    """Remove a generation, tables and bookkeeping; one that is served stays."""
    async with read_db.begin() as connection:
        await checkpoint.take_turns(connection, of.projection)
        served = await checkpoint.served(connection, of.projection, of.version)
        if served is None or served.of != of:
            await projector(projection, of).drop(connection)
            await checkpoint.drop(connection, of)


async def _begin(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection
) -> tuple[Generation, Generation]:
    async with read_db.begin() as connection:
        await checkpoint.take_turns(connection, projection.name)
        found = await checkpoint.served(connection, projection.name, projection.version)
        if found is None:
            raise NotServed(projection.name, projection.version)
        for each in await checkpoint.all_of(connection):
            if each.of.follows(found.of):
                return found.of, each.of
        new = found.of.next()
        await checkpoint.add(connection, new, event_store.identity)
        await projector(projection, new).create(connection)
    return found.of, new


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


async def _give_up(read_db: ReadDatabase, projection: AnyProjection, new: Generation) -> None:
    try:
        await drop(read_db, projection, new)
    except Unavailable as error:
        _logger.warning("what was built of %s stays, and the next rebuild goes on with it: %s", projection.name, error)


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
    return Unavailable(f"projection {name!r} is being rebuilt by another worker: wait for it")
