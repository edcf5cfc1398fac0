"""
Make the physical builds of a projection, bring them up to the log, and remove them.

A build is a generation: tables that carry its number in their names, and a row of
the bookkeeping. Whoever makes, drops or switches generations of a projection takes turns.
"""

import logging
from collections.abc import Iterable, Mapping

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import BadProjection, Unavailable
from diptych.log import EventStore
from diptych.read import sql
from diptych.read.books import checkpoint, turns
from diptych.read.books.checkpoint import Checkpoint, Generation, Share, new_owner
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.place import why_no_place
from diptych.read.projections.projection import AnyProjection
from diptych.read.projections.projector import Projector, projector
from diptych.read.projections.reaction import Reaction
from diptych.read.projections.tables import drop_table

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
        await turns.take(connection, projection.name)
        found = await checkpoint.served(connection, projection.name, projection.version)
        if found is not None:
            return found.of
        if isinstance(projection, Reaction):
            return await _deploy(connection, event_store, projection)
        return await taken_up(connection, event_store, projection, None)


async def _deploy(connection: AsyncConnection, event_store: EventStore, reaction: Reaction) -> Generation:
    """Begin a reaction where it is to begin. It is served, though nothing is read from it: so it is found again."""
    new = projector(reaction, Generation(reaction.name, reaction.version))
    await make(connection, event_store, new, 1)
    if reaction.start == "head":
        await put_at_the_head(connection, event_store, new.of)
    await checkpoint.serve_first(connection, new.of)
    return new.of


async def begin_anew(event_store: EventStore, read_db: ReadDatabase, reaction: Reaction) -> Generation:
    """
    Let a reaction whose checkpoint is no place in this log go on from where the log ends now.

    Returns:
        What follows the log now.

    Raises:
        BadProjection: Its checkpoint is one.
    """
    async with read_db.begin() as connection:
        await turns.take(connection, reaction.name)
        found = await checkpoint.served(connection, reaction.name, reaction.version)
        if found is not None and await why_no_place(event_store, found) is None:
            raise BadProjection(
                f"{reaction.name!r} is a reaction, and stands on this log: it keeps no rows that could be built anew"
            )
        if found is None:
            return await _deploy(connection, event_store, reaction)
        new = projector(reaction, found.of.next())
        await make(connection, event_store, new, 1)
        await put_at_the_head(connection, event_store, new.of)
        await checkpoint.switch(connection, found.of, new.of)
        await stay_paused(connection, found.of, new.of)
        await _remove(connection, found.of)
        return new.of


async def stay_paused(connection: AsyncConnection, old: Generation, new: Generation) -> None:
    """Let what is served now be paused where what was served is: somebody ordered it, and nobody resumed it."""
    if await sql.change(connection, "generation_pause", new.parameters(old=old.generation)):
        _logger.warning("projection %s stays paused, as it was before the switch: resume it", new.projection)


async def put_at_the_head(connection: AsyncConnection, event_store: EventStore, of: Generation) -> None:
    """Let a reaction that isn't running go on behind what the log has now."""
    head = await event_store.head()
    there = await event_store.store.event_at(head)
    await checkpoint.place(connection, of, event_store.identity, head, there.id if there else "")


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
    await make(connection, event_store, new, projection.partitions)
    return new.of


async def make(connection: AsyncConnection, event_store: EventStore, new: Projector, partitions: int) -> None:
    """Begin a generation: empty tables, each partition at the start of the log."""
    for partition in range(partitions):
        await checkpoint.add(connection, new.of, event_store.identity, new.plan, partition=partition)
    await new.create(connection)


async def remove_unowned(connection: AsyncConnection, of: Generation, what: str) -> None:
    """
    Remove a generation that may be there, unless a worker is at it.

    Raises:
        Unavailable: One is.
    """
    for each in await partitions_of(connection, of):
        if await checkpoint.claim(connection, of, new_owner(), partition=each.partition) is None:
            raise Unavailable(f"projection {of.projection!r} is being {what} by another worker: wait for it")
    await _remove(connection, of)


async def partitions_of(connection: AsyncConnection, of: Generation) -> list[Checkpoint]:
    """The bookkeeping of each partition of a generation."""
    return [each for each in await checkpoint.all_of(connection) if each.of == of]


async def check_columns(connection: AsyncConnection, projection: AnyProjection, of: Generation) -> None:
    """
    Insist that a generation keeps what the code declares that is to go on with it, or to follow it.

    Raises:
        BadProjection: It keeps something else, or in other partitions.
    """
    built = await checkpoint.plan(connection, of)
    if built is not None:
        projector(projection, of).check(built, len(await partitions_of(connection, of)))


async def hold_all(connection: AsyncConnection, of: Generation) -> list[Checkpoint]:
    """The bookkeeping of each partition, as it stays until the transaction ends."""
    parts = await partitions_of(connection, of)
    held = [await checkpoint.hold(connection, of, partition=each.partition) for each in parts]
    return [each for each in held if each is not None]


async def drop(read_db: ReadDatabase, of: Generation) -> None:
    """Remove a generation, tables and bookkeeping; one that is served stays."""
    async with read_db.begin() as connection:
        await turns.take(connection, of.projection)
        await turns.lock_alone(connection, of.projection)
        await hold_all(connection, of)  # else a batch under way would begin to serve it meanwhile
        served = await checkpoint.served(connection, of.projection, of.version)
        if served is None or served.of != of:
            await _remove(connection, of)


async def tidy(read_db: ReadDatabase, projection: AnyProjection) -> Mapping[Generation, Exception]:
    """
    Remove what was served before and isn't kept any more; of several that are kept, the newest stays.

    Returns:
        What the database refuses to remove, such as a table that somebody made a view on, and its errors.
    """
    async with read_db.snapshot() as connection:
        found = of_no_use(await checkpoint.all_of(connection), projection, await checkpoint.now(connection))
    if not found:
        return {}
    if not await read_db.snapshots_end(SNAPSHOTS_S):
        _logger.warning("what %s served before is still read: its tables stay until later", projection.name)
        return {}
    stuck: dict[Generation, Exception] = {}
    for of in found:
        try:
            await drop(read_db, of)
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001  # for the caller to tell; the others go
            stuck[of] = error
    return stuck


def to_keep(rows: Iterable[Checkpoint], projection: AnyProjection, now: int) -> list[Share]:
    """What to keep in step of a projection: what is served, and what was served before, if it is kept."""
    mine = [each for each in rows if _is_of(each, projection)]
    kept = newest_kept(mine, projection, now)
    return [each.share for each in mine if each.served or (kept is not None and each.of == kept.of)]


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


async def _may_go_on(
    connection: AsyncConnection, event_store: EventStore, projection: AnyProjection, begun: Checkpoint
) -> bool:
    same_code = await checkpoint.plan(connection, begun.of) == projector(projection, begun.of).plan
    parts = await partitions_of(connection, begun.of)
    if not same_code or len(parts) != projection.partitions:
        return False
    return all([await why_no_place(event_store, part) is None for part in parts])


async def _remove(connection: AsyncConnection, of: Generation) -> None:
    built = await checkpoint.plan(connection, of)
    await checkpoint.drop(connection, of)  # first: a batch under way ends before, and another finds itself fenced out
    for table in built.described() if built else ():
        await drop_table(connection, table)
