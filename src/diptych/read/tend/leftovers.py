"""
Drop the versions of projections that no code runs any more: their tables and their bookkeeping.

Each version of the code keeps tables of its own, so what an old deployment served
stays when the last process of it ends, for a way back to that code. When nobody
will go there any more, an operator says so.
"""

from collections.abc import Collection, Iterable

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import BadDatabase, Misuse, NotFound, Unavailable
from diptych.read import sql
from diptych.read.books import checkpoint, turns, workers
from diptych.read.books.checkpoint import Checkpoint, Generation, is_gone
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.generations import SNAPSHOTS_S, remove_unowned
from diptych.read.projections.projection import AnyProjection
from diptych.read.tend.acts import Target, record

SILENT_US = 60_000_000  # a worker that was there so long ago may only be held up


async def drop_version(read_db: ReadDatabase, target: Target) -> None:
    """
    Remove everything that is kept of a version of a projection, whether code here knows it or not.

    First nobody is led to its tables any more; they go when those who were have ended. Where that
    takes too long, or is cut short, another call removes them.

    Raises:
        NotFound: Nothing is kept of it.
        Misuse: It is a reaction.
        Unavailable: A worker that runs it was there of late, or somebody still reads what it served.
        BadDatabase: Somebody made something on its tables.
    """
    async with read_db.begin() as connection:
        await _to_drop(connection, target)
        await sql.change(connection, "served_drop", {"projection": target.projection, "version": target.version})
    if not await read_db.snapshots_end(SNAPSHOTS_S):
        raise Unavailable(f"{_name(target)} is served no more, and still read: drop it again, then its tables go")
    try:
        async with read_db.begin() as connection:
            for of in await _to_drop(connection, target):
                await remove_unowned(connection, of, "kept in step")
            await record(connection, target, "drop")
    except DBAPIError as error:
        raise BadDatabase(
            f"{_name(target)} can't be removed: {error.orig}. Drop what was made on its tables"
        ) from error


async def left_behind(read_db: ReadDatabase, projections: Iterable[AnyProjection]) -> list[Generation]:
    """The older versions of projections that no worker runs which was there of late; one build of each."""
    async with read_db.snapshot() as connection:
        every = await checkpoint.all_of(connection)
        run = await _run_of_late(connection, every)
    current = {each.name: each.version for each in projections}
    older = [each.of for each in every if each.of.version < current.get(each.of.projection, 0)]
    return [*{of.code: of for of in older if of.code not in run}.values()]


async def _to_drop(connection: AsyncConnection, target: Target) -> Collection[Generation]:
    """All builds of a version that may be dropped; nobody makes, drops or switches any until the transaction ends."""
    await turns.take(connection, target.projection)
    every = await checkpoint.all_of(connection)
    found = dict.fromkeys(each.of for each in every if target.is_of(each))
    if not found:
        raise NotFound("projection", target.projection, _what_there_is(target, every))
    for of in found:
        plan = await checkpoint.plan(connection, of)
        if plan is not None and plan.keeps_nothing:
            raise Misuse(
                f"{target.projection!r} is a reaction: it keeps no tables, and what it did must not be forgotten"
            )
    worker = (await _run_of_late(connection, every)).get(f"{target.projection} {target.version}")
    if worker is not None:
        raise Unavailable(
            f"{_name(target)} is run by worker {worker}: stop it first, and wait a minute if it was killed"
        )
    return found


async def _run_of_late(connection: AsyncConnection, every: Iterable[Checkpoint]) -> dict[str, str]:
    """The code that workers run or build, each with one of them; not of those whose process is known to have ended."""
    now = await checkpoint.now(connection)
    known = await workers.alive(connection, now - SILENT_US)
    owned = {each.of.code: each.owner for each in every if each.lease_until > now and each.owner is not None}
    builders = {code: owner for code, owner in owned.items() if not is_gone(owner)}
    return {**builders, **{code: worker for worker, runs in known.items() for code in runs}}


def _what_there_is(target: Target, every: Iterable[Checkpoint]) -> str:
    versions = sorted({each.of.version for each in every if each.of.projection == target.projection})
    there = f"there is version {', '.join(map(str, versions))}" if versions else "nothing is kept of it at all"
    return f"has no version {target.version} here: {there}"


def _name(target: Target) -> str:
    return f"version {target.version} of projection {target.projection!r}"
