"""
Appends to PostgreSQL: the event store beside pgbench, the `eventsourcing` library and UmaDB's server.

pgbench's clients each commit one row at a time into a table with the columns and indexes
of the log's. The server is a new one with its defaults, but for more memory; every side
waits for the disk.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.clusters import Cluster

from benchmarks.compare import Result, compare
from benchmarks.eventsourcing_side import on_postgres
from benchmarks.notes import IN_FLIGHT, appending
from benchmarks.umadb_side import on_umadb

SETTINGS = {"shared_buffers": "512MB", "max_wal_size": "4GB"}
PGBENCH_S = 3
LIKE_TABLE = """
CREATE TABLE note (LIKE diptych_event INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES);
ALTER TABLE note ALTER COLUMN position ADD GENERATED ALWAYS AS IDENTITY;
"""
INSERT = """
INSERT INTO note (stream, category, version, type, schema_version, id, payload, metadata, recorded_at)
VALUES ('Note-' || gen_random_uuid(), 'Note', 1, 'Noted', 1, gen_random_uuid(), '{"text":"hello","number":1}', '{}',
        (extract(epoch FROM clock_timestamp()) * 1000000)::bigint);
"""


async def run(scale: float) -> list[Result]:
    """Events a second."""
    many, few = int(20_000 * scale), int(1_000 * scale)
    with server() as cluster:
        async with appending(cluster.url(), in_flight=1) as alone:
            cluster.psql(LIKE_TABLE)
            rows = [await _beside("append/pgbench-1", alone, few, pgbench(cluster, 1))]
        async with appending(cluster.url()) as ours:
            rows.append(await _beside(f"append/pgbench-{IN_FLIGHT}", ours, many, pgbench(cluster, IN_FLIGHT)))
            with TemporaryDirectory() as folder, on_umadb(Path(folder)) as writers:
                rows.append(await _beside(f"append/umadb-{IN_FLIGHT}", ours, many, lambda: writers.append(few * 4)))
            with on_postgres(cluster.port) as library:
                rows.append(await _beside(f"append/eventsourcing-{IN_FLIGHT}", ours, many, lambda: library.save(few)))
        return rows


@contextmanager
def server(settings: Mapping[str, object] = SETTINGS) -> Iterator[Cluster]:
    """A server for as long as the block runs."""
    cluster = Cluster(settings=settings)
    try:
        cluster.make()
        cluster.start()
        yield cluster
    finally:
        cluster.remove()


def pgbench(cluster: Cluster, clients: int) -> Callable[[], float]:
    """Single-row INSERTs by so many clients; the rate a second."""
    script = cluster.folder / "insert.sql"
    script.write_text(INSERT)

    def measured() -> float:
        printed = cluster.run(
            "pgbench", "-n", "-M", "prepared", "-c", clients, "-j", min(2, clients), "-T", PGBENCH_S,
            "-f", script, cluster.url(),
        )  # fmt: skip
        return float(printed.rpartition("tps = ")[2].split()[0])

    return measured


async def _beside(
    name: str, ours: Callable[[int], Awaitable[float]], count: int, theirs: Callable[[], float]
) -> Result:
    async def mine() -> float:
        return await ours(count)

    async def others() -> float:
        return await asyncio.to_thread(theirs)

    return await compare(name, mine, others, unit="events/s")
