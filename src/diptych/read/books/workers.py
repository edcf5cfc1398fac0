"""Keep the list of workers that live, and extend the leases of one of them."""

from collections.abc import Collection, Iterable

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.read import sql
from diptych.read.books.checkpoint import LEASE_US, is_gone

FORGOTTEN_US = 60 * LEASE_US


async def beat(connection: AsyncConnection, worker: str, runs: Iterable[str]) -> None:
    """Say that a worker lives, and extend every lease that it holds, but where a batch of its own does so."""
    known = msgspec.json.encode(sorted(runs)).decode()
    await sql.change(connection, "worker_beat", {"worker": worker, "runs": known, "lease_us": LEASE_US})
    await sql.change(connection, "lease_beat", {"worker": worker, "lease_us": LEASE_US})


async def alive(connection: AsyncConnection, now: int) -> dict[str, Collection[str]]:
    """The workers that live, and the code that each can run."""
    return {
        row["worker"]: msgspec.json.decode(row["runs"], type=frozenset[str])
        for row in await sql.rows(connection, "worker_all")
        if row["alive_until"] >= now and not is_gone(row["worker"])
    }


async def forget(connection: AsyncConnection, worker: str, now: int) -> None:
    """Forget a worker that ends, and those that went long ago."""
    await sql.change(connection, "worker_forget", {"worker": worker, "before": now - FORGOTTEN_US})
