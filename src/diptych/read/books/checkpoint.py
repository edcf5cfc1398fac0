"""
Keep the bookkeeping of projections in the read database, beside their effects.

One row per generation, or per partition of one, holds its checkpoint, its owner's
lease and the epoch. A batch begins with the fence: whoever lost the ownership
changes no row there, and so can't write (P6).
"""

import os
import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.read import sql
from diptych.store.port import LogIdentity

LEASE_S = 5.0
LEASE_US = int(LEASE_S * 1_000_000)
REWOUND = "rewound"
SILENCE_S = 4.0  # what a server of its own bears inside a batch: less than a lease


@dataclass(frozen=True, slots=True)
class Generation:
    """One physical build of a projection: its name, its code's version, and the how-manieth build of that."""

    projection: str
    version: int
    generation: int = 1

    @property
    def suffix(self) -> str:
        """What its tables' names end in."""
        return f"_v{self.version}" if self.generation == 1 else f"_v{self.version}_{self.generation}"

    @property
    def code(self) -> str:
        """The code that builds it, as workers name what they can run."""
        return f"{self.projection} {self.version}"

    def next(self) -> "Generation":
        """The build after this one."""
        return Generation(self.projection, self.version, self.generation + 1)

    def follows(self, other: "Generation") -> bool:
        """Whether this is a later build of the same."""
        same = (self.projection, self.version) == (other.projection, other.version)
        return same and self.generation > other.generation

    def parameters(self, **more: Any) -> dict[str, Any]:
        """Its key as statement parameters, with *more* of them."""
        return {"projection": self.projection, "version": self.version, "generation": self.generation, **more}


@dataclass(frozen=True, slots=True)
class Share:
    """What one worker owns at a time: a generation, or one partition of it."""

    of: Generation
    partition: int = 0

    def __str__(self) -> str:
        return self.of.projection + (f" partition {self.partition}" if self.partition else "")


@dataclass(frozen=True, slots=True)
class Plan:
    """
    What a generation was built by.

    `tables` says what each of its tables keeps, by name, as JSON; `code` is a
    fingerprint of the projection's code.
    """

    tables: str
    code: str

    @property
    def keeps_nothing(self) -> bool:
        """Whether it is of a reaction: there is nothing that could be built."""
        return self == NOTHING

    def described(self) -> dict[str, dict[str, str]]:
        """Its tables, each with what its columns keep."""
        return msgspec.json.decode(self.tables, type=dict[str, dict[str, str]])


NOTHING: Plan = Plan("{}", "")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    A row of the bookkeeping: one partition of a generation.

    Times are in microseconds since 1970, by the database's clock.

    Attributes:
        position: The last that was applied; `event_id` is that of the event there ("" if unknown).
        lease_until: Until when its owner owns it; without an owner, since when it has none.
        error: Why it stopped: at `error_position`, an event of `error_type`, since `since`.
        parked_at: The lowest position that is parked; None if nothing is.
        head: The head of the log as its owner saw it at `seen_at`.
        behind_since: When the oldest event was recorded that is not applied yet; None at the head.
        rate: Positions passed a second, while it worked last.
        kept_until: For a generation that was replaced: until when it is kept in step.
    """

    of: Generation
    position: int
    event_id: str
    log: LogIdentity
    epoch: int
    owner: str | None
    lease_until: int
    state: str
    error: str | None
    error_position: int | None
    since: int | None
    served: bool = False
    partition: int = 0
    paused: bool = False
    error_event_id: str | None = None
    error_type: str | None = None
    parked_at: int | None = None
    head: int = 0
    seen_at: int | None = None
    behind_since: int | None = None
    rate: float = 0.0
    kept_until: int | None = None

    @property
    def share(self) -> Share:
        """What its owner owns."""
        return Share(self.of, self.partition)

    def parameters(self, **more: Any) -> dict[str, Any]:
        """Its key as statement parameters, with *more* of them."""
        return self.of.parameters(partition=self.partition, **more)


@dataclass(frozen=True, slots=True)
class LogSeen:
    """How the log looked to the owner of a batch; see `Checkpoint`."""

    head: int
    behind_since: int | None = None
    rate: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a projection stopped, and at which event, if it was at one."""

    state: str
    error: str
    position: int | None = None
    event_id: str | None = None
    type: str | None = None
    recorded_at: int | None = None


class FencedOut(Exception):
    """Another owner took over what this one held, or it is gone: it must stop writing."""


class Paused(Exception):
    """Somebody paused the projection; nothing is applied until it is resumed."""


@cache
def here() -> str:
    """
    Where process ids mean what they mean to this process: a host, up since its last start, and there a namespace.

    Two containers of one name may not take each other's processes for their own.
    """
    known = [socket.gethostname()]
    for place in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            known.append(os.readlink(place) if os.path.islink(place) else Path(place).read_text("ascii"))
    return f"{known[0]}~{blake2b(' '.join(known).encode(), digest_size=4).hexdigest()}"


def new_owner() -> str:
    """A name for a worker that tells whether its process is still there."""
    return f"{here()}/{os.getpid()}/{uuid4().hex[:12]}"


def is_gone(owner: str | None) -> bool:
    """Whether a worker's process certainly ended; only known where its number means something here."""
    if owner is None:
        return False
    place, pid, _ = owner.rsplit("/", 2)
    if place != here():
        return False
    with suppress(PermissionError):  # alive, and somebody else's
        try:
            os.kill(int(pid), 0)
        except ProcessLookupError:
            return True
    return False


async def add(connection: AsyncConnection, of: Generation, log: LogIdentity, plan: Plan, *, partition: int = 0) -> bool:
    """Begin the bookkeeping of a generation, or of one partition of it; False if it had begun before."""
    named = {"log_id": log.log_id, "incarnation": log.incarnation}
    parameters = of.parameters(partition=partition, tables=plan.tables, code=plan.code, **named)
    return await sql.change(connection, "checkpoint_add", parameters) == 1


async def get(connection: AsyncConnection, of: Generation, *, partition: int = 0) -> Checkpoint | None:
    """The bookkeeping of a generation, or of one partition of it."""
    row = (await sql.rows(connection, "checkpoint_get", of.parameters(partition=partition))).first()
    return of_row(row) if row else None


async def plan(connection: AsyncConnection, of: Generation) -> Plan | None:
    """What a generation was built by."""
    row = (await sql.rows(connection, "checkpoint_plan", of.parameters())).first()
    return Plan(row["tables"], row["code"]) if row else None


async def hold(connection: AsyncConnection, of: Generation, *, partition: int = 0) -> Checkpoint | None:
    """The bookkeeping of a generation, or of one partition of it, as it stays until the transaction ends."""
    row = (await sql.rows(connection, "checkpoint_hold", of.parameters(partition=partition))).first()
    return of_row(row) if row else None


async def all_of(connection: AsyncConnection) -> list[Checkpoint]:
    """The bookkeeping of every generation, and of every partition of it."""
    return [of_row(row) for row in await sql.rows(connection, "checkpoint_all")]


async def now(connection: AsyncConnection) -> int:
    """What time it is by the database's clock, in microseconds since 1970."""
    time: int = (await sql.rows(connection, "now")).one()["now"]
    return time


async def claim(connection: AsyncConnection, of: Generation, owner: str, *, partition: int = 0) -> Checkpoint | None:
    """Become the owner; None while another's lease runs, or a batch of another."""
    before = await get(connection, of, partition=partition)
    if before is None:
        return None
    dead = before.owner if is_gone(before.owner) else owner
    parameters = before.parameters(owner=owner, dead_owner=dead, lease_us=LEASE_US)
    claimed = await sql.change(connection, "checkpoint_claim", parameters)
    return await get(connection, of, partition=partition) if claimed else None


async def fence(connection: AsyncConnection, held: Checkpoint) -> None:
    """
    Extend the lease and insist on still being the owner; the first write of a batch.

    Raises:
        FencedOut: Another owner took over, or moved the checkpoint.
        Paused: It was paused.
    """
    named = {"position": held.position, "epoch": held.epoch, "lease_us": LEASE_US, "silence": f"{SILENCE_S}s"}
    if not await sql.change(connection, "checkpoint_fence", held.parameters(**named)):
        found = await get(connection, held.of, partition=held.partition)
        raise Paused if found and found.paused and found.epoch == held.epoch else FencedOut


async def take_time(connection: AsyncConnection) -> None:
    """Let a batch go on for longer than a fence allows it to, as for making indexes."""
    await sql.rows(connection, "unlimited")


async def keep(connection: AsyncConnection, held: Checkpoint) -> None:
    """
    Extend the lease while nothing is applied.

    Raises:
        FencedOut: Another owner took over.
    """
    if not await sql.change(connection, "checkpoint_keep", held.parameters(epoch=held.epoch, lease_us=LEASE_US)):
        raise FencedOut


async def advance(
    connection: AsyncConnection, held: Checkpoint, through: int, event_id: str, seen: LogSeen | None = None
) -> None:
    """Move the checkpoint to *through*, in the transaction of what was applied."""
    seen = seen or LogSeen(through)
    parameters = held.parameters(
        position=held.position,
        epoch=held.epoch,
        through=through,
        event_id=event_id,
        head=seen.head,
        behind_since=seen.behind_since,
        rate=seen.rate,
    )
    if not await sql.change(connection, "checkpoint_advance", parameters):
        raise FencedOut


async def fail(connection: AsyncConnection, held: Checkpoint, failure: Failure) -> None:
    """
    Record that a projection stopped, and why.

    Raises:
        FencedOut: Another owner took it over.
    """
    parameters = held.parameters(
        epoch=held.epoch,
        state=failure.state,
        error=failure.error,
        error_position=failure.position,
        error_event_id=failure.event_id,
        error_type=failure.type,
        behind_since=failure.recorded_at,
    )
    if not await sql.change(connection, "checkpoint_fail", parameters):
        raise FencedOut


async def release(connection: AsyncConnection, held: Checkpoint) -> None:
    """Stop owning, so that another may take over at once."""
    await sql.change(connection, "checkpoint_release", held.parameters(epoch=held.epoch))


async def restamp(connection: AsyncConnection, of: Generation, log: LogIdentity) -> None:
    """Take a generation's checkpoints along into another identity of its log."""
    parameters = of.parameters(log_id=log.log_id, incarnation=log.incarnation)
    await sql.change(connection, "checkpoint_restamp", parameters)


async def place(connection: AsyncConnection, of: Generation, log: LogIdentity, at: int, event_id: str) -> None:
    """Put the checkpoint of a generation that keeps nothing at another place, in another identity of its log."""
    parameters = of.parameters(log_id=log.log_id, incarnation=log.incarnation, through=at, event_id=event_id)
    await sql.change(connection, "checkpoint_place", parameters)


async def drop(connection: AsyncConnection, of: Generation) -> None:
    """Forget a generation, all its partitions and what is parked of it."""
    await sql.change(connection, "checkpoint_drop", of.parameters())
    await sql.change(connection, "parked_drop", of.parameters())


async def served(connection: AsyncConnection, projection: str, version: int) -> Checkpoint | None:
    """The bookkeeping of the generation that answers queries as a whole, in the snapshot of the connection."""
    rows = await sql.rows(connection, "served_get", {"projection": projection, "version": version})
    parts = [of_row(row) for row in rows]
    return together(parts) if parts else None


def together(parts: Sequence[Checkpoint]) -> Checkpoint:
    """A generation as a whole: as the partition that is no place in the log, or is furthest behind; parked as any."""
    if len(parts) == 1:
        return parts[0]
    least = min(parts, key=lambda part: (part.state != REWOUND, part.position, part.error is None))
    parked_at = min((part.parked_at for part in parts if part.parked_at is not None), default=None)
    state = least.state if all(part.log == least.log for part in parts) else REWOUND
    return replace(least, parked_at=parked_at, state=state)


async def serve_first(connection: AsyncConnection, of: Generation) -> None:
    """Point queries at a generation, unless they are pointed at one already."""
    await sql.change(connection, "served_first", of.parameters())


async def switch(connection: AsyncConnection, old: Generation, new: Generation) -> bool:
    """Point queries from the old generation to the new one; False where they aren't pointed at the old one."""
    return await sql.change(connection, "served_switch", new.parameters(old=old.generation)) == 1


def of_row(row: Mapping[Any, Any]) -> Checkpoint:
    """The checkpoint that a row of the bookkeeping says."""
    return Checkpoint(
        Generation(row["projection"], row["version"], row["generation"]),
        log=LogIdentity(row["log_id"], row["incarnation"]),
        paused=bool(row["paused"]),
        served=bool(row.get("served", False)),
        **{name: row[name] for name in _AS_THEY_ARE},
    )


_AS_THEY_ARE = (
    "position", "event_id", "epoch", "owner", "lease_until", "state", "error", "error_position", "since", "partition",
    "error_event_id", "error_type", "parked_at", "head", "seen_at", "behind_since", "rate", "kept_until",
)  # fmt: skip
