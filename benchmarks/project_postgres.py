"""Catching up with Orders events, log and read models in PostgreSQL: the engine beside the loop that guides show."""

from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime
from decimal import Decimal
from time import perf_counter
from typing import Any

import asyncpg
import msgspec

from benchmarks.append_postgres import server
from benchmarks.compare import Result
from benchmarks.project import (
    ADDED,
    CHECKPOINT,
    EVENT_TYPES,
    EVENTS,
    GUIDE_EVENTS,
    PER_ORDER,
    PER_READ,
    PLACED,
    SHIPPED,
    beside_guide,
    effect,
    fill,
    tables,
)
from benchmarks.together import together
from diptych import open_store

PAGE = """
SELECT position, type, payload, version, recorded_at FROM diptych_event WHERE position > $1 ORDER BY position LIMIT $2
"""


async def run(scale: float) -> list[Result]:
    """Events a second."""
    with server() as cluster:
        async with open_store(cluster.url(), EVENT_TYPES) as event_store:
            await fill(event_store, int(EVENTS * scale))

            async def theirs() -> float:
                return await _guide(cluster.url(), int(GUIDE_EVENTS * scale))

            def new_read() -> AbstractContextManager[str]:
                return nullcontext(cluster.new_schema())

            return [
                await beside_guide("project/guide-postgres", event_store, new_read, theirs),
                *await together("project/together-postgres", event_store, new_read),
            ]


async def _guide(url: str, events: int) -> float:
    """On one held connection: read 100, a statement that commits by itself for each, then the checkpoint."""
    connection = await asyncpg.connect(url)
    for statement in tables(amount="numeric(18, 2)", instant="timestamptz", day="date", json="jsonb"):
        await connection.execute(statement)
    marks = [f"${number}" for number in range(1, PER_ORDER + 1)]
    statements = {
        "OrderPlaced": PLACED.format(*marks),
        "ItemAdded": ADDED.format(*marks, append="lines || $1::jsonb"),
        "OrderShipped": SHIPPED.format(*marks),
    }
    began, done, position = perf_counter(), 0, 0
    while done < events:
        rows: list[Any] = await connection.fetch(PAGE, position, PER_READ)
        for position, type, payload, version, recorded_at in rows:  # noqa: B007  # the last one is the checkpoint
            at = datetime.fromtimestamp(recorded_at / 1_000_000, UTC)
            values = effect(type, msgspec.json.decode(payload), version, at, day=date.fromisoformat, amount=Decimal)
            await connection.execute(statements[type], *values)
        await connection.execute(CHECKPOINT.format("$1"), position)
        done += len(rows)
    rate = done / (perf_counter() - began)
    await connection.close()
    return rate
