"""
Drop the versions of projections that no code runs any more: their tables and their bookkeeping.

Each version of the code keeps tables of its own, so what an old deployment served
stays when the last process of it ends, for a way back to that code. When nobody
will go there any more, an operator says so.
"""

from collections.abc import Iterable

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import NotFound, Unavailable
from diptych.read import sql
from diptych.read.books import checkpoint, workers
from diptych.read.books.checkpoint import Checkpoint
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.generations import SNAPSHOTS_S, remove_unowned
from diptych.read.projections.projection import AnyProjection
from diptych.read.tend.acts import Target, record


async def drop_version(read_db: ReadDatabase, target: Target) -> None:
    """
    Remove everything that is kept of a version of a projection, whether code here knows it or not.

    Raises:
        NotFound: Nothing is kept of it.
        Unavailable: A worker lives that runs it, or somebody still reads.
    """
    if not await read_db.snapshots_end(SNAPSHOTS_S):
        raise Unavailable(f"the read database has been read since {SNAPSHOTS_S:.0f} s ago: drop {_name(target)} later")
    async with read_db.begin() as connection:
        await checkpoint.take_turns(connection, target.projection)
        every = await checkpoint.all_of(connection)
        generations = dict.fromkeys(each.of for each in every if target.is_of(each))
        if not generations:
            raise NotFound("projection", target.projection, _what_there_is(target, every))
        await _insist_that_nobody_runs_it(connection, target)
        await sql.change(connection, "served_drop", {"projection": target.projection, "version": target.version})
        for of in generations:
            await remove_unowned(connection, of, "kept in step")
        await record(connection, target, "drop")


async def left_behind(read_db: ReadDatabase, projections: Iterable[AnyProjection]) -> list[str]:
    """The versions of projections, such as "orders 1", that neither these nor any worker that lives run."""
    async with read_db.snapshot() as connection:
        kept = dict.fromkeys(each.of.code for each in await checkpoint.all_of(connection))
        alive = await workers.alive(connection, await checkpoint.now(connection))
    known = {f"{each.name} {each.version}" for each in projections}.union(*alive.values())
    return [code for code in kept if code not in known]


async def _insist_that_nobody_runs_it(connection: AsyncConnection, target: Target) -> None:
    alive = await workers.alive(connection, await checkpoint.now(connection))
    for worker, runs in alive.items():
        if f"{target.projection} {target.version}" in runs:
            raise Unavailable(f"{_name(target)} is run by worker {worker}: stop it first")


def _what_there_is(target: Target, every: Iterable[Checkpoint]) -> str:
    versions = sorted({each.of.version for each in every if each.of.projection == target.projection})
    there = f"there is version {', '.join(map(str, versions))}" if versions else "nothing is kept of it at all"
    return f"has no version {target.version} here: {there}"


def _name(target: Target) -> str:
    return f"version {target.version} of projection {target.projection!r}"
