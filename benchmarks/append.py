"""
Appends of one event to new streams, 64 in flight: the event store beside plain INSERTs, and beside `eventsourcing`.

Plain INSERTs are one connection that commits each event in a transaction of its
own. All sides sync every commit to the disk. PostgreSQL is in `append_postgres`.
"""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import apsw

from benchmarks.compare import Result, compare
from benchmarks.eventsourcing_side import on_sqlite
from benchmarks.notes import appending
from diptych import new_id

IN_FLIGHT = 64


async def run(scale: float) -> list[Result]:
    """Events a second, ours and plain INSERTs."""
    with TemporaryDirectory() as folder:
        async with appending(f"sqlite:///{folder}/ours.db") as ours:
            return await _rows(Path(folder), ours, int(20_000 * scale), int(500 * scale))


async def _rows(
    folder: Path, ours: Callable[[int], Awaitable[float]], ours_count: int, theirs_count: int
) -> list[Result]:
    with on_sqlite(folder / "eventsourcing.db") as library:

        async def through_the_store() -> float:
            return await ours(ours_count)

        async def plain() -> float:
            return await asyncio.to_thread(_inserts, folder / "theirs.db", theirs_count)

        async def through_the_library() -> float:
            return await asyncio.to_thread(library.save, theirs_count)

        return [
            await compare(f"append/insert-{IN_FLIGHT}", through_the_store, plain, unit="events/s"),
            await compare(f"append/eventsourcing-{IN_FLIGHT}", through_the_store, through_the_library, unit="events/s"),
        ]


def _inserts(path: Path, count: int) -> float:
    connection = apsw.Connection(str(path))
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        connection.execute(f"PRAGMA {pragma}").fetchall()
    connection.execute("CREATE TABLE IF NOT EXISTS event (position INTEGER PRIMARY KEY, stream TEXT, payload TEXT)")
    began = perf_counter()
    for number in range(count):
        connection.execute("INSERT INTO event (stream, payload) VALUES (?, ?)", (new_id(), f'{{"number":{number}}}'))
    rate = count / (perf_counter() - began)
    connection.close()
    return rate
