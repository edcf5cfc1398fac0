"""
How long one append takes when the log is large, beside one whose log is small; both in PostgreSQL.

The large log is filled by the server itself, with rows as the store writes them.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from statistics import median
from time import perf_counter

from tests.clusters import Cluster

from benchmarks.append_postgres import server
from benchmarks.compare import Result, compare
from benchmarks.notes import Noted
from diptych import EventStore, new_id, open_store

SMALL, LARGE = 10_000, 5_000_000
APPENDS = 500
FILL = """
INSERT INTO diptych_event
    (position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at)
SELECT n, 'Note-' || id, 'Note', 1, 'Noted', 1, id, '{"text":"hello","number":1}', '{}', 1
FROM (SELECT n, '0180' || lpad(to_hex(n), 8, '0') || substr(md5(n::text), 1, 24) AS id
      FROM generate_series(%s, %s) AS n) AS numbered
"""
AT_ONCE = 250_000


async def run(scale: float) -> list[Result]:
    """Milliseconds an append, the median."""
    with server() as small, server() as large:
        async with AsyncExitStack() as stack:
            short = await stack.enter_async_context(open_store(small.url(), events=[Noted]))
            long = await stack.enter_async_context(open_store(large.url(), events=[Noted]))
            await asyncio.to_thread(fill, small, SMALL)
            await asyncio.to_thread(fill, large, int(LARGE * scale))
            name = f"append-growth/p50-{int(LARGE * scale)}"
            return [await compare(name, _appends(long), _appends(short), unit="ms")]


def fill(cluster: Cluster, events: int) -> None:
    """So many events of as many streams."""
    for first in range(1, events + 1, AT_ONCE):
        cluster.psql(FILL % (first, min(first + AT_ONCE - 1, events)))
    cluster.psql("VACUUM ANALYZE diptych_event")
    cluster.psql("CHECKPOINT")


def _appends(event_store: EventStore) -> Callable[[], Awaitable[float]]:
    async def p50() -> float:
        return median([await _append(event_store) for _ in range(APPENDS)])

    return p50


async def _append(event_store: EventStore) -> float:
    began = perf_counter()
    await event_store.append_events(
        stream_id=f"Note-{new_id()}", stream_type="Note", events=[Noted(text="hello", number=1)]
    )
    return (perf_counter() - began) * 1e3
