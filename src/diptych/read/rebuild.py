"""
Build a projection anew beside the served one, then point queries at it.

The served tables answer all the time and are never emptied (P8): the switch
moves a pointer, in a transaction that has seen the new checkpoint at or beyond
the old one. What fails leaves everything as it was.
"""

from diptych.errors import NotServed, Unavailable
from diptych.log import EventStore
from diptych.read import checkpoint
from diptych.read.checkpoint import Generation, new_owner
from diptych.read.database import ReadDatabase
from diptych.read.follower import Follower
from diptych.read.projection import AnyProjection
from diptych.read.projector import projector
from diptych.read.runner import BATCH_EVENTS
from diptych.read.wait import Watcher


async def prepare(event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection) -> Generation:
    """The generation to keep in step: the served one, or a first one with new tables."""
    async with read_db.begin() as connection:
        found = await checkpoint.served(connection, projection.name, projection.version)
        of = found.of if found else Generation(projection.name, projection.version)
        if await checkpoint.add(connection, of, event_store.identity):
            first = projector(projection, of)
            await first.create(connection)
            await first.index(connection)
    return of


async def rebuild(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection, watcher: Watcher
) -> tuple[Generation, Generation]:
    """
    Build the next generation and serve it.

    Returns:
        The generation that was served before, and the one that is served now.

    Raises:
        NotServed: The first build isn't done yet.
        Exception: What a handler raised; the old generation stays served.
    """
    old, new = await _begin(event_store, read_db, projection)
    follower = Follower(event_store, read_db, projection, new, watcher, publish=False)
    try:
        if not await follower.claim(new_owner()):
            raise Unavailable(f"projection {projection.name!r} is being rebuilt by another worker: wait for it")
        await _catch_up(follower)
        async with read_db.begin() as connection:
            await follower.projector.index(connection)
        while not await _switch(read_db, old, new):
            await _catch_up(follower)
        await follower.release()
    except BaseException:
        await drop(read_db, projection, new)
        raise
    watcher.look()
    return old, new


async def drop(read_db: ReadDatabase, projection: AnyProjection, of: Generation) -> None:
    """Remove a generation that isn't served, tables and bookkeeping."""
    async with read_db.begin() as connection:
        await projector(projection, of).drop(connection)
        await checkpoint.drop(connection, of)


async def _begin(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection
) -> tuple[Generation, Generation]:
    async with read_db.begin() as connection:
        found = await checkpoint.served(connection, projection.name, projection.version)
        if found is None:
            raise NotServed(projection.name, projection.version)
        new = found.of.next()
        while not await checkpoint.add(connection, new, event_store.identity):
            new = new.next()
        await projector(projection, new).create(connection)
    return found.of, new


async def _catch_up(follower: Follower) -> None:
    while page := await follower.read(BATCH_EVENTS):
        await follower.apply(page)


async def _switch(read_db: ReadDatabase, old: Generation, new: Generation) -> bool:
    """Point queries at the new generation, unless the old one is ahead of it."""
    async with read_db.begin() as connection:
        served, built = await checkpoint.get(connection, old), await checkpoint.get(connection, new)
        if served is None or built is None:
            raise NotServed(new.projection, new.version)
        if built.position < served.position:
            return False
        await checkpoint.serve(connection, new)
    return True
