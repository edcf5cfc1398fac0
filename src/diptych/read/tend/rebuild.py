"""
Build a projection anew beside the served one, then point queries at it.

The served tables answer all the time and are never emptied (P8): rows come first,
in large batches, then the secondary indexes, then the switch. A rebuild that is
killed is gone on with by the next one; one that fails leaves everything as it was.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Literal

from diptych.errors import EventFailed, RebuildCancelled, RebuildRefused, Unavailable, Unreadable
from diptych.log import EventStore
from diptych.read.books import checkpoint, turns
from diptych.read.books.checkpoint import Checkpoint, FencedOut, Generation, new_owner
from diptych.read.books.progress import Meter, Progress
from diptych.read.books.wait import Watcher
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.feed import Feed
from diptych.read.follow.generations import check_columns, drop, shadow_of, taken_up
from diptych.read.projections.projection import AnyProjection
from diptych.read.tend.build import Build
from diptych.read.tend.switch import AGAIN_S, KEEP_S, changed, switch
from diptych.read.tend.verify import compare_with_served, served_to_compare

_logger = logging.getLogger("diptych.projection")

Check = Literal["verify"]


async def rebuild(
    event_store: EventStore,
    read_db: ReadDatabase,
    projection: AnyProjection,
    watcher: Watcher,
    *,
    keep_s: float = KEEP_S,
    before_switch: Check | None = None,
    progress: Callable[[Progress], None] | None = None,
    feed: Feed | None = None,
) -> Generation:
    """
    Build the next generation and serve it; one that a crash left half built is built to its end,
    unless it came from other code or from another log.

    To cancel the task pauses it: the next rebuild goes on. `cancel` gives it up.

    Args:
        keep_s: How long what was served before is kept in step, for `switch_back`.
        before_switch: "verify" compares what was built with what is served, at one position, and refuses
            to switch where a row differs. A new version is compared with the version served before it,
            in the columns that both have.
        progress: Told about once a batch.
        feed: What it shares with others that follow the log.

    Returns:
        The generation that is served now.

    Raises:
        BadProjection: What is served under its version was built with other columns; nothing is built.
        RebuildRefused: What was built differs from what is served; both stay.
        RebuildCancelled: Somebody cancelled it.
        Unavailable: Another worker is building it.
        EventFailed: The projection's code fails at an event; what was built is removed.
        Unreadable: An event can't be read; what was built is removed.
    """
    old, new = await _begin(event_store, read_db, projection)
    build = Build(event_store, read_db, projection, new, watcher, feed=feed)
    if not await build.claim(new_owner()):
        raise _other_worker(projection.name)
    meter = Meter(event_store, new, progress)

    async def switched() -> bool:
        return await switch(event_store, read_db, old, new, keep_s=keep_s, owned=build.owned)

    try:
        async with build.kept_alive():
            await _build(event_store, read_db, build, meter, check=before_switch is not None)
        async with build.in_step(meter.moved) as following:
            while not await build.outlast(switched):
                await asyncio.wait([following], timeout=AGAIN_S)
                if following.done():
                    await following
        await meter.stage("served", build.position)
    except FencedOut:
        raise await _why_fenced_out(read_db, old, new) from None
    except (EventFailed, Unreadable):
        await _give_up(read_db, new)
        raise
    # Whatever else ends it, what is built stays, and the next rebuild goes on with it.
    finally:
        await build.release()
    watcher.look()
    return new


async def cancel(read_db: ReadDatabase, projection: AnyProjection) -> bool:
    """
    Give a rebuild up, wherever it runs or whatever a crash left of it; what is served stays.

    So goes the first build of a new version, while another one is served; workers with its code begin it anew.

    Returns:
        Whether there was any.
    """
    async with read_db.snapshot() as connection:
        every = await checkpoint.all_of(connection)
    begun = {each.of for each in every if _is_rebuild(each, projection, every)}
    for of in begun:
        await drop(read_db, of)
    return bool(begun)


def _is_rebuild(each: Checkpoint, projection: AnyProjection, every: list[Checkpoint]) -> bool:
    """Whether a generation is being built beside one that is served, of its own version or, as a first one, another."""
    of = each.of
    served = {other.of for other in every if other.served and other.of.projection == projection.name}
    is_first = bool(served) and projection.version not in {other.version for other in served}
    is_mine = (of.projection, of.version) == (projection.name, projection.version)
    is_begun = each.kept_until is None and of.generation > shadow_of(of.projection, of.version).generation
    return is_begun and ((is_first and is_mine) or any(of.follows(other) for other in served))


async def _begin(
    event_store: EventStore, read_db: ReadDatabase, projection: AnyProjection
) -> tuple[Generation | None, Generation]:
    async with read_db.begin() as connection:
        await turns.take(connection, projection.name)
        found = await checkpoint.served(connection, projection.name, projection.version)
        if found is not None:  # code that runs still would write to the new tables what they don't keep
            await check_columns(connection, projection, found.of)
        return found.of if found else None, await taken_up(connection, event_store, projection, found)


async def _build(event_store: EventStore, read_db: ReadDatabase, build: Build, meter: Meter, *, check: bool) -> None:
    """All rows, then the indexes, and what came meanwhile; a build to be compared doesn't overtake what is served."""
    against = await served_to_compare(read_db, build) if check else None
    through = dict.fromkeys(build.positions, against.position) if against else None
    await meter.stage("building", build.position)
    await build.catch_up(through=through, moved=meter.moved)
    await meter.stage("indexing", build.position)
    for step in build.projector.index_steps():
        await build.do(step)
    if against is not None:
        await _insist(event_store, read_db, build, meter, against.of.version)
    await build.catch_up(moved=meter.moved)


async def _insist(event_store: EventStore, read_db: ReadDatabase, build: Build, meter: Meter, against: int) -> None:
    """Insist that what was built equals what a version serves."""
    await meter.stage("verifying", build.position)
    found = await compare_with_served(event_store, read_db, build, version=against)
    if not found.ok:
        raise RebuildRefused(build.of.projection, found)


async def _why_fenced_out(read_db: ReadDatabase, old: Generation | None, new: Generation) -> Exception:
    async with read_db.snapshot() as connection:
        found = await checkpoint.get(connection, new)
        served = await checkpoint.served(connection, new.projection, new.version)
    if found is None:
        return RebuildCancelled(
            f"the rebuild of projection {new.projection!r} was cancelled: what was served stays served"
        )
    if found.kept_until is not None or (served is not None and served.of == new):
        return Unavailable(f"the rebuild of projection {new.projection!r} was ended by another worker: look again")
    return changed(new.projection) if served is not None and served.of != old else _other_worker(new.projection)


async def _give_up(read_db: ReadDatabase, new: Generation) -> None:
    try:
        await drop(read_db, new)
    except Unavailable as error:
        _logger.warning("what was built of %s stays until the next rebuild: %s", new.projection, error)


def _other_worker(name: str) -> Unavailable:
    return Unavailable(f"projection {name!r} is being built by another worker: wait for it")
