"""Catching up with Orders events, log and read models in PostgreSQL: the engine beside the loop that guides show."""

from time import perf_counter
from typing import Any

import asyncpg
import msgspec

from benchmarks.append_postgres import server
from benchmarks.compare import Result, compare
from benchmarks.project import EVENT_TYPES, EVENTS, GUIDE_EVENTS, PER_READ, caught_up, effect, fill
from diptych import open_store
from orders.views import Orders

UPSERT = """
INSERT INTO guide_orders (order_id, customer_id, status, total, lines) VALUES ($1, $2, $3, $4, 1)
ON CONFLICT (order_id) DO UPDATE
SET status = excluded.status, total = guide_orders.total + excluded.total, lines = guide_orders.lines + 1
"""
WRITTEN = ("order_id", "customer_id", "status", "total")
CHECKPOINT = """
INSERT INTO guide_checkpoint (name, position) VALUES ('orders', $1)
ON CONFLICT (name) DO UPDATE SET position = excluded.position
"""
PAGE = "SELECT position, type, payload::text FROM diptych_event WHERE position > $1 ORDER BY position LIMIT $2"


async def run(scale: float) -> list[Result]:
    """Events a second."""
    with server() as cluster:
        async with open_store(cluster.url(), EVENT_TYPES) as event_store:
            await fill(event_store, int(EVENTS * scale))

            async def ours() -> float:
                return await caught_up(event_store, cluster.new_schema(), [Orders])

            async def theirs() -> float:
                return await _guide(cluster.url(), int(GUIDE_EVENTS * scale))

            return [await compare("project/guide-postgres", ours, theirs, unit="events/s")]


async def _guide(url: str, events: int) -> float:
    """On one held connection: read 100, a statement that commits by itself for each, then the checkpoint."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "DROP TABLE IF EXISTS guide_orders, guide_checkpoint;"
        "CREATE TABLE guide_orders "
        "(order_id text PRIMARY KEY, customer_id text, status text, total numeric, lines int);"
        "CREATE TABLE guide_checkpoint (name text PRIMARY KEY, position bigint)"
    )
    began, done, position = perf_counter(), 0, 0
    while done < events:
        rows: list[Any] = await connection.fetch(PAGE, position, PER_READ)
        for position, type, payload in rows:  # noqa: B007  # the last one is the checkpoint
            written = effect(type, msgspec.json.decode(payload))
            await connection.execute(
                UPSERT, *(written[name] for name in ("order_id", "customer_id", "status", "total"))
            )
        await connection.execute(CHECKPOINT, position)
        done += len(rows)
    rate = done / (perf_counter() - began)
    await connection.close()
    return rate
