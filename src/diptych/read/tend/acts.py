"""
Order by hand what no projection does by itself: pause, resume, retry, skip.

Each is a change in the read database, recorded with who ordered it and why, in one
transaction. So it works from any process; the owner sees it when it looks next.
"""

import os
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from getpass import getuser

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.codec import EPOCH
from diptych.errors import EventFailed, Misuse, NotFound, NotStopped
from diptych.read import sql
from diptych.read.books import checkpoint, parked, turns
from diptych.read.books.checkpoint import Checkpoint
from diptych.read.books.parked import Parked
from diptych.read.db.database import ReadDatabase

MOST = 100
_DONE = {"pause": "paused", "resume": "resumed", "retry": "retried", "skip": "skipped", "drop": "dropped"}


@dataclass(frozen=True, slots=True)
class Act:
    """What was ordered by hand: at which event or parked key, if at one, why, and by whom."""

    at: datetime
    projection: str
    version: int
    act: str
    key: str | None
    position: int | None
    reason: str | None
    by: str

    def __str__(self) -> str:
        where = self.projection if self.position is None else f"the event at position {self.position}"
        key = "" if self.key is None else f" under {self.key!r}"
        reason = "" if self.reason is None else f": {' '.join(self.reason.split())}"
        return f"{where}{key} was {_DONE.get(self.act, self.act)} by {self.by}, {self.at:%Y-%m-%d %H:%M:%S} UTC{reason}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """An event that is to have no effect; its type is None where that was never read."""

    position: int
    type: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """The projection that an act is about, and who orders it."""

    projection: str
    version: int
    by: str

    def is_of(self, found: Checkpoint | Parked) -> bool:
        """Whether something is of it."""
        of = found.of if isinstance(found, Checkpoint) else found.share.of
        return (of.projection, of.version) == (self.projection, self.version)


def somebody() -> str:
    """Who orders, as far as this process knows."""
    return f"{getuser()}@{socket.gethostname()} ({os.getpid()})"


async def pause(read_db: ReadDatabase, target: Target) -> None:
    """Have nothing applied until it is resumed; batches under way are finished."""
    async with read_db.begin() as connection:
        await _set_paused(connection, target, paused=1)
        await record(connection, target, "pause")


async def resume(read_db: ReadDatabase, target: Target) -> None:
    """Let a paused projection go on."""
    async with read_db.begin() as connection:
        await _set_paused(connection, target, paused=0)
        await record(connection, target, "resume")


async def retry(read_db: ReadDatabase, target: Target) -> None:
    """
    Try again what a projection stopped at.

    Raises:
        NotStopped: It did not stop.
    """
    async with read_db.begin() as connection:
        for found in await _stopped(connection, target):
            await sql.change(connection, "checkpoint_mend", found.parameters())
            await record(connection, target, "retry", position=found.error_position)


async def skip(read_db: ReadDatabase, target: Target, reason: str) -> tuple[Skipped, ...]:
    """
    Go on behind the event that a projection stopped at, one a partition: it never has an effect there.

    Raises:
        NotStopped: It did not stop at an event.
        Misuse: The reason says nothing.
    """
    _check_reason(reason)
    async with read_db.begin() as connection:
        stopped = await _stopped(connection, target)
        found = [(each, each.error_position) for each in stopped if each.error_position is not None]
        if not found:
            raise NotStopped(target.projection)
        for each, position in found:
            await sql.change(connection, "checkpoint_skip", each.parameters(position=position))
            await record(connection, target, "skip", position=position, reason=reason)
    return tuple(Skipped(position, each.error_type) for each, position in found)


async def retry_key(read_db: ReadDatabase, target: Target, key: str) -> None:
    """
    Apply the events that are parked under a key, in order.

    Raises:
        NotFound: Nothing is parked under it.
    """
    async with read_db.begin() as connection:
        queues = await _queues(connection, target, key)
        if not queues:
            raise NotFound("parked key", key)
        await _want(connection, target, queues)


async def retry_every_key(read_db: ReadDatabase, target: Target) -> None:
    """
    Apply all events that are parked, those of each key in order.

    Raises:
        NotFound: Nothing is parked.
    """
    async with read_db.begin() as connection:
        queues = await _queues(connection, target)
        if not queues:
            raise NotFound("projection", target.projection, "has nothing parked: see its status")
        await _want(connection, target, queues)


async def skip_key(read_db: ReadDatabase, target: Target, key: str, reason: str) -> tuple[Skipped, ...]:
    """
    Drop the first of the events that are parked under a key, and apply those behind it.

    Raises:
        NotFound: Nothing is parked under it.
        Misuse: The reason says nothing.
    """
    _check_reason(reason)
    async with read_db.begin() as connection:
        queues = await _queues(connection, target, key)
        if not queues:
            raise NotFound("parked key", key)
        for held, first in queues:
            await parked.remove(connection, held, [first.position])
            await parked.want(connection, held, key)
            await record(connection, target, "skip", key=key, position=first.position, reason=reason)
    return tuple(Skipped(first.position, first.type) for _, first in queues)


async def acts(read_db: ReadDatabase, most: int = MOST) -> list[Act]:
    """What was ordered by hand, the latest first."""
    async with read_db.snapshot() as connection:
        return [_act(row) for row in await sql.rows(connection, "act_all", {"most": most})]


async def skips(read_db: ReadDatabase, projection: str, most: int = MOST) -> list[Act]:
    """Which events of any version of a projection were skipped by hand, the latest first."""
    async with read_db.snapshot() as connection:
        found = await sql.rows(connection, "act_skips", {"projection": projection, "most": most})
        return [_act(row) for row in found]


@asynccontextmanager
async def naming_skips(read_db: ReadDatabase) -> AsyncIterator[None]:
    """Have an `EventFailed` say, in a note, that its event was skipped by hand, if it was."""
    try:
        yield
    except EventFailed as failed:
        for act in await skips(read_db, failed.projection):
            if act.position == failed.position:
                failed.add_note(likely(act))
        raise


def likely(act: Act) -> str:
    """That something is so because of an act."""
    return f"a likely reason: {act}"


def _act(row: RowMapping) -> Act:
    return Act(**{**row, "at": EPOCH + timedelta(microseconds=row["at"])})


async def _set_paused(connection: AsyncConnection, target: Target, *, paused: int) -> None:
    await turns.lock_alone(connection, target.projection)
    named = {"projection": target.projection, "version": target.version}
    if not await sql.change(connection, "checkpoint_pause", {**named, "paused": paused}):
        raise NotFound("projection", f"{target.projection} {target.version}")


async def _stopped(connection: AsyncConnection, target: Target) -> list[Checkpoint]:
    """What stopped of a projection, held until the transaction ends."""
    await turns.lock_alone(connection, target.projection)
    every = [each for each in await checkpoint.all_of(connection) if target.is_of(each) and each.error is not None]
    held = [await checkpoint.hold(connection, each.of, partition=each.partition) for each in every]
    stopped = [each for each in held if each is not None and each.error is not None]
    if not stopped:
        raise NotStopped(target.projection)
    return stopped


def _check_reason(reason: str) -> None:
    if not reason.strip():
        raise Misuse("an event is skipped for a reason, and this one is blank: say why, for who finds it missing later")


async def _queues(
    connection: AsyncConnection, target: Target, key: str | None = None
) -> list[tuple[Checkpoint, Parked]]:
    """The shares where events are parked under a key, or under any, each held, and the first event of the key there."""
    await turns.lock_alone(connection, target.projection)
    first: dict[tuple[checkpoint.Share, str], Parked] = {}
    for each in await parked.all_of(connection):
        if target.is_of(each) and key in (None, each.key):
            first.setdefault((each.share, each.key), each)
    shares = dict.fromkeys(share for share, _ in first)
    held = {share: await checkpoint.hold(connection, share.of, partition=share.partition) for share in shares}
    queues = [(held[share], each) for (share, _), each in first.items()]
    return [(there, each) for there, each in queues if there is not None]


async def _want(connection: AsyncConnection, target: Target, queues: Sequence[tuple[Checkpoint, Parked]]) -> None:
    for held, first in queues:
        await parked.want(connection, held, first.key)
        await record(connection, target, "retry", key=first.key, position=first.position)


async def record(
    connection: AsyncConnection,
    target: Target,
    act: str,
    *,
    key: str | None = None,
    position: int | None = None,
    reason: str | None = None,
) -> None:
    """Note an act, in the transaction that it is done in."""
    named = {"projection": target.projection, "version": target.version, "by": target.by}
    await sql.change(connection, "act_add", {**named, "act": act, "key": key, "position": position, "reason": reason})
