"""
Point queries at another generation, never at one that is behind what they saw (P7).

The pointer moves in one transaction that holds the bookkeeping of both: no table
is touched, so no reader waits and none is waited for. What was served is kept in
step for a while, so that the way back is as safe; what was kept before that is kept no more.
"""

import asyncio
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import NotKept, NotServed, Unavailable
from diptych.log import EventStore
from diptych.read import sql
from diptych.read.books import checkpoint, turns
from diptych.read.books.checkpoint import Checkpoint, FencedOut, Generation
from diptych.read.books.wait import Watcher
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.generations import hold_all, newest_kept, stay_paused
from diptych.read.follow.place import why_no_place
from diptych.read.projections.projection import AnyProjection

KEEP_S = 86_400.0
AGAIN_S = 0.01
BACK_S = 30.0


async def switch(
    event_store: EventStore,
    read_db: ReadDatabase,
    old: Generation | None,
    new: Generation,
    *,
    keep_s: float,
    owned: Sequence[Checkpoint] = (),
) -> bool:
    """
    Point queries at the new generation, unless the old one is ahead of it; None for it is a first build.

    Args:
        owned: What the caller holds of the new one; its lease is extended.

    Raises:
        FencedOut: Something of that is another's; or one of the two is gone, or queries are pointed at yet another.
    """
    async with read_db.begin() as connection:
        await turns.take(connection, new.projection)
        found = await checkpoint.served(connection, new.projection, new.version)
        if found is not None and found.of == new:  # by a try whose answer was lost
            return True
        if (found.of if found else None) != old:
            raise FencedOut
        await turns.lock_alone(connection, new.projection)
        # First what is served, which then stands still, while what is to be served may still come nearer.
        served = await _held(connection, old) if old is not None else []
        for held in owned:
            await checkpoint.keep(connection, held)
        built = await _held(connection, new)
        if old is None:
            await checkpoint.serve_first(connection, new)
            return True
        # What was built from another log, or from a future that was lost, can't be caught up with.
        if _is_behind(built, served) and not any([await why_no_place(event_store, each) for each in served]):
            return False
        await checkpoint.switch(connection, old, new)
        await stay_paused(connection, old, new)
        for each in await _kept_before(connection, old, new):
            await sql.change(connection, "generation_retire", each.parameters(keep_us=0))
        await sql.change(connection, "generation_retire", old.parameters(keep_us=int(keep_s * 1_000_000)))
        await sql.change(connection, "generation_serve", new.parameters())
        return True


async def switch_back(
    event_store: EventStore,
    read_db: ReadDatabase,
    projection: AnyProjection,
    watcher: Watcher,
    *,
    keep_s: float = KEEP_S,
    timeout_s: float = BACK_S,
) -> Generation:
    """
    Serve again what was served before the last switch, as soon as it is no further behind.

    Args:
        keep_s: How long what is served now is kept in step.
        timeout_s: How long to wait for workers to bring it in step.

    Returns:
        The generation that is served now.

    Raises:
        NotServed: Nothing is served yet.
        NotKept: Nothing is kept that was served before.
        Unavailable: It did not come in step in time, or was switched elsewhere.
    """
    served, kept = await _kept(read_db, projection)
    try:
        await _switch_in_time(event_store, read_db, served.of, kept.of, keep_s=keep_s, timeout_s=timeout_s)
    except FencedOut:
        raise changed(projection.name) from None
    watcher.look()
    return kept.of


def changed(projection: str) -> Unavailable:
    """That somebody else switched, to yet another generation."""
    return Unavailable(f"what projection {projection!r} serves was changed meanwhile: look again")


async def _switch_in_time(
    event_store: EventStore,
    read_db: ReadDatabase,
    served: Generation,
    kept: Generation,
    *,
    keep_s: float,
    timeout_s: float,
) -> None:
    deadline = asyncio.get_running_loop().time() + timeout_s
    while not await switch(event_store, read_db, served, kept, keep_s=keep_s):
        if asyncio.get_running_loop().time() > deadline:
            raise Unavailable(
                f"what projection {kept.projection!r} served before is behind what it serves now, "
                "and no worker brought it in step in time: start one, and switch back then"
            )
        await asyncio.sleep(AGAIN_S)


async def way_back(read_db: ReadDatabase, projection: AnyProjection) -> Generation | None:
    """What `switch_back` would serve; None where nothing is kept."""
    async with read_db.snapshot() as connection:
        kept = newest_kept(await checkpoint.all_of(connection), projection, await checkpoint.now(connection))
    return kept.of if kept else None


async def _kept_before(connection: AsyncConnection, old: Generation, new: Generation) -> set[Generation]:
    """What was replaced earlier: however long it was to be kept, the way back leads to the old one now, or nowhere."""
    every = await checkpoint.all_of(connection)
    replaced = {each.of for each in every if each.kept_until is not None and each.of not in {old, new}}
    return {of for of in replaced if (of.projection, of.version) == (new.projection, new.version)}


async def _kept(read_db: ReadDatabase, projection: AnyProjection) -> tuple[Checkpoint, Checkpoint]:
    """What is served, and what was before it."""
    async with read_db.snapshot() as connection:
        served = await checkpoint.served(connection, projection.name, projection.version)
        kept = newest_kept(await checkpoint.all_of(connection), projection, await checkpoint.now(connection))
    if served is None:
        raise NotServed(projection.name, projection.version)
    if kept is None:
        raise NotKept(
            f"nothing that projection {projection.name!r} served before is kept still: "
            "rebuild it with the code of then to serve that again"
        )
    return served, kept


def _is_behind(built: Sequence[Checkpoint], served: Sequence[Checkpoint]) -> bool:
    """Whether any partition is; of other partitions, whether any may be."""
    if len(built) != len(served):
        return min(each.position for each in built) < max(each.position for each in served)
    seen = {each.partition: each.position for each in served}
    return any(each.position < seen[each.partition] for each in built)


async def _held(connection: AsyncConnection, of: Generation) -> list[Checkpoint]:
    """See `hold_all`; there is some."""
    if not (held := await hold_all(connection, of)):
        raise FencedOut
    return held
