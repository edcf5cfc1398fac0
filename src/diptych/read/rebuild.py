"""
Build a projection anew beside the served one, then point queries at it.

The served tables answer all the time and are never emptied (P8): the switch
moves a pointer, in a transaction that has seen the new checkpoint at or beyond
the old one. What fails leaves everything as it was.
"""

import logging
from contextlib import suppress

from diptych.errors import NotServed, Unavailable
from diptych.log import EventStore
from diptych.read import checkpoint
from diptych.read.checkpoint import FencedOut, Generation, new_owner
from diptych.read.database import ReadDatabase
from diptych.read.follower import Follower, why_no_place
from diptych.read.generations import catch_up, drop, taken_up
from diptych.read.projection import AnyProjection
from diptych.read.wait import Watcher

_logger = logging.getLogger("diptych.projection")


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
            await catch_up(follower)
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


async def _begin(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection
) -> tuple[Generation, Generation]:
    async with read_db.begin() as connection:
        await checkpoint.take_turns(connection, projection.name)
        found = await checkpoint.served(connection, projection.name, projection.version)
        if found is None:
            raise NotServed(projection.name, projection.version)
        return found.of, await taken_up(connection, event_store, projection, found.of)


async def _build(follower: Follower, read_db: ReadDatabase) -> None:
    await catch_up(follower)
    async with read_db.begin() as connection:
        await follower.projector.index(connection)


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
