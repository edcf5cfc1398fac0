"""
Keep the bookkeeping of projections in the read database, beside their effects.

One row per generation holds its checkpoint, its owner's lease and the epoch. A
batch begins with the fence: whoever lost the ownership changes no row there,
and so can't write (P6).
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from importlib.resources import files
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
from sqlalchemy import BigInteger, RowMapping, TextClause, bindparam, text
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.store.port import LogIdentity

LEASE_S = 5.0
LEASE_US = int(LEASE_S * 1_000_000)
_NUMBERS = (
    "version", "generation", "old", "position", "through", "incarnation", "epoch", "lease_us", "error_position",
)  # fmt: skip


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
class Plan:
    """
    What a generation was built by.

    `tables` says what each of its tables keeps, by name, as JSON; `code` is a
    fingerprint of the projection's code.
    """

    tables: str
    code: str

    def described(self) -> dict[str, dict[str, str]]:
        """Its tables, each with what its columns keep."""
        return msgspec.json.decode(self.tables, type=dict[str, dict[str, str]])


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """
    A row of the bookkeeping.

    `position` is the last that was applied, `event_id` that of the event there
    ("" if unknown). `lease_until` and `since` are in microseconds since 1970.
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


class FencedOut(Exception):
    """Another owner took the projection over; this one must stop writing."""


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


async def add(connection: AsyncConnection, of: Generation, log: LogIdentity, plan: Plan) -> bool:
    """Begin the bookkeeping of a generation; False if it had begun before."""
    named = {"log_id": log.log_id, "incarnation": log.incarnation}
    parameters = of.parameters(tables=plan.tables, code=plan.code, **named)
    return await _change(connection, "checkpoint_add", parameters)


async def get(connection: AsyncConnection, of: Generation) -> Checkpoint | None:
    """The bookkeeping of a generation."""
    row = (await connection.execute(_statement(connection, "checkpoint_get"), of.parameters())).mappings().first()
    return _checkpoint(row) if row else None


async def plan(connection: AsyncConnection, of: Generation) -> Plan | None:
    """What a generation was built by."""
    row = (await connection.execute(_statement(connection, "checkpoint_plan"), of.parameters())).mappings().first()
    return Plan(row["tables"], row["code"]) if row else None


async def hold(connection: AsyncConnection, of: Generation) -> Checkpoint | None:
    """The bookkeeping of a generation, as it stays until the transaction ends."""
    row = (await connection.execute(_statement(connection, "checkpoint_hold"), of.parameters())).mappings().first()
    return _checkpoint(row) if row else None


async def take_turns(connection: AsyncConnection, projection: str) -> None:
    """Wait for whoever else makes, drops or switches tables of a projection; they wait until the transaction ends."""
    await connection.execute(_statement(connection, "turn"), {"projection": projection})


async def all_of(connection: AsyncConnection) -> list[Checkpoint]:
    """The bookkeeping of every generation."""
    rows = (await connection.execute(_statement(connection, "checkpoint_all"))).mappings()
    return [_checkpoint(row) for row in rows]


async def claim(connection: AsyncConnection, of: Generation, owner: str) -> Checkpoint | None:
    """Become the owner; None while another's lease runs."""
    before = await get(connection, of)
    if before is None:
        return None
    dead = before.owner if is_gone(before.owner) else owner
    parameters = of.parameters(owner=owner, dead_owner=dead, lease_us=LEASE_US)
    claimed = await _change(connection, "checkpoint_claim", parameters)
    return await get(connection, of) if claimed else None


async def fence(connection: AsyncConnection, held: Checkpoint) -> None:
    """
    Extend the lease and insist on still being the owner; the first write of a batch.

    Raises:
        FencedOut: Another owner took over, or moved the checkpoint.
    """
    parameters = held.of.parameters(position=held.position, epoch=held.epoch, lease_us=LEASE_US)
    if not await _change(connection, "checkpoint_fence", parameters):
        raise FencedOut


async def advance(connection: AsyncConnection, held: Checkpoint, through: int, event_id: str) -> None:
    """Move the checkpoint to *through*, in the transaction of what was applied."""
    parameters = held.of.parameters(position=held.position, epoch=held.epoch, through=through, event_id=event_id)
    if not await _change(connection, "checkpoint_advance", parameters):
        raise FencedOut


async def fail(connection: AsyncConnection, held: Checkpoint, state: str, error: str, position: int | None) -> None:
    """
    Record that a projection stopped, and why.

    Raises:
        FencedOut: Another owner took it over.
    """
    parameters = held.of.parameters(epoch=held.epoch, state=state, error=error, error_position=position)
    if not await _change(connection, "checkpoint_fail", parameters):
        raise FencedOut


async def resume(connection: AsyncConnection, held: Checkpoint) -> None:
    """Forget why a projection stopped."""
    await _change(connection, "checkpoint_resume", held.of.parameters(epoch=held.epoch))


async def release(connection: AsyncConnection, held: Checkpoint) -> None:
    """Stop owning, so that another may take over at once."""
    await _change(connection, "checkpoint_release", held.of.parameters(epoch=held.epoch))


async def restamp(connection: AsyncConnection, of: Generation, log: LogIdentity) -> None:
    """Take a checkpoint along into another identity of its log."""
    parameters = of.parameters(log_id=log.log_id, incarnation=log.incarnation)
    await _change(connection, "checkpoint_restamp", parameters)


async def drop(connection: AsyncConnection, of: Generation) -> None:
    """Forget a generation."""
    await _change(connection, "checkpoint_drop", of.parameters())


async def served(connection: AsyncConnection, projection: str, version: int) -> Checkpoint | None:
    """The bookkeeping of the generation that answers queries, in the snapshot of the connection."""
    statement = _statement(connection, "served_get")
    row = (await connection.execute(statement, {"projection": projection, "version": version})).mappings().first()
    return _checkpoint(row) if row else None


async def serve_first(connection: AsyncConnection, of: Generation) -> None:
    """Point queries at a generation, unless they are pointed at one already."""
    await _change(connection, "served_first", of.parameters())


async def switch(connection: AsyncConnection, old: Generation, new: Generation) -> bool:
    """Point queries from the old generation to the new one; False where they aren't pointed at the old one."""
    return await _change(connection, "served_switch", new.parameters(old=old.generation))


async def _change(connection: AsyncConnection, name: str, parameters: Mapping[str, Any]) -> bool:
    """Run a statement; whether it changed a row."""
    result = await connection.execute(_statement(connection, name), parameters)
    return result.rowcount == 1


def _statement(connection: AsyncConnection, name: str) -> TextClause:
    return _load(connection.dialect.name, name)


@cache
def _load(dialect: str, name: str) -> TextClause:
    """A statement in its dialect's form where it has one; numbers are 64 bits wide for drivers that ask."""
    folder = files("diptych.read") / "sql"
    of_dialect = folder / dialect / f"{name}.sql"
    statement = text((of_dialect if of_dialect.is_file() else folder / f"{name}.sql").read_text("utf-8"))
    asked = statement.compile().params
    return statement.bindparams(*(bindparam(number, type_=BigInteger) for number in _NUMBERS if number in asked))


def _checkpoint(row: RowMapping) -> Checkpoint:
    return Checkpoint(
        Generation(row["projection"], row["version"], row["generation"]),
        row["position"],
        row["event_id"],
        LogIdentity(row["log_id"], row["incarnation"]),
        row["epoch"],
        row["owner"],
        row["lease_until"],
        row["state"],
        row["error"],
        row["error_position"],
        row["since"],
        bool(row.get("served", False)),
    )
