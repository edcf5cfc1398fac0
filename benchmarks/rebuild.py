"""
Rebuilding the Orders views beside themselves, in a process of its own, while another asks for orders all the time.

There is no other side: each row stands beside the bar that it is held to.
"""

import asyncio
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec

from benchmarks.append_postgres import SETTINGS, server
from benchmarks.compare import Result
from benchmarks.project import EVENT_TYPES, fill
from benchmarks.together import caught_up
from diptych import Progress, ReadModelSynchronizer, open_read_db, open_store
from diptych.read.ask.model import ReadModel
from diptych.read.ask.view import Gate, ServedTable
from diptych.read.books.wait import Watcher
from orders.views import Orders, OrderView, SalesByDay

EVENTS = 1_000_000
RATES = {"sqlite": 40_000.0, "postgres": 50_000.0}
MEMORY_MB, QUERY_MS = 150.0, 50.0
PAUSE_S = 0.005


class Rebuilt(msgspec.Struct):
    """What the process that rebuilds saw; `switched` is when, by the clock."""

    rate: float
    cpu_s: float
    memory_mb: float
    switched: tuple[float, float]


async def run(scale: float) -> list[Result]:
    """With both databases in SQLite files."""
    with TemporaryDirectory() as folder:
        return await _rows("sqlite", f"sqlite:///{folder}/log.db", f"sqlite:///{folder}/read.db", scale)


async def run_postgres(scale: float) -> list[Result]:
    """With both databases in PostgreSQL."""
    with server(SETTINGS | {"autovacuum": "off"}) as cluster:  # it would clean up behind the filling meanwhile
        return await _rows("postgres", cluster.url(), cluster.url(), scale)


async def _rows(backend: str, log: str, read: str, scale: float) -> list[Result]:
    async with open_store(log, EVENT_TYPES) as event_store:
        await fill(event_store, int(EVENTS * scale))
        await caught_up(event_store, read, [Orders, SalesByDay])
        found: list[Result] = []
        for what in (["orders"], ["sales_by_day"], ["orders", "sales_by_day"]):
            rebuilt, longest_ms = await _rebuilt(log, read, what)
            name = f"rebuild/{backend}-{'+'.join(what)}"
            found += [
                _beside(name, rebuilt.rate, RATES[backend], "events/s"),
                _beside(f"{name}-memory", rebuilt.memory_mb, MEMORY_MB, "MB"),
                _beside(f"{name}-query", longest_ms, QUERY_MS, "ms"),
            ]
        return found


def _beside(name: str, measured: float, bar: float, unit: str) -> Result:
    ratio = measured / bar
    return Result(name, measured, bar, ratio, ratio, ratio, unit)


async def _rebuilt(log: str, read: str, what: list[str]) -> tuple[Rebuilt, float]:
    """What it took to rebuild some views, and the longest query while they were switched."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.rebuild", log, read, *what, stdout=asyncio.subprocess.PIPE
    )
    asked: list[tuple[float, float]] = []
    asking = asyncio.create_task(_ask_on(log, read, asked))
    output, _ = await process.communicate()
    asking.cancel()
    await asyncio.wait([asking])
    if process.returncode:
        raise RuntimeError(f"the process that rebuilds ended with {process.returncode}")
    rebuilt = msgspec.json.decode(output, type=Rebuilt)
    began, ended = rebuilt.switched
    return rebuilt, max((took_s for at, took_s in asked if began <= at + took_s and at <= ended), default=0.0) * 1000


async def _ask_on(log: str, read: str, asked: list[tuple[float, float]]) -> None:
    async with open_store(log, EVENT_TYPES) as event_store, open_read_db(read) as read_db:
        orders = Orders()
        gate = Gate(read_db, orders, Watcher(read_db, event_store.identity))
        model: ReadModel[OrderView] = ReadModel(ServedTable(orders, gate))
        while True:
            began, at = time.perf_counter(), time.time()
            await model.get("7")
            asked.append((at, time.perf_counter() - began))
            await asyncio.sleep(PAUSE_S)


async def _rebuild(log: str, read: str, what: list[str]) -> Rebuilt:
    times: list[float] = []

    def told(progress: Progress) -> None:
        if progress.stage in {"indexing", "served"}:
            times.append(time.time())

    async with open_store(log, EVENT_TYPES) as event_store, open_read_db(read) as read_db:
        synchronizer = ReadModelSynchronizer(event_store, read_db, [Orders, SalesByDay])
        head = await event_store.head()
        began, cpu = time.perf_counter(), time.process_time()
        await asyncio.gather(*(synchronizer.rebuild_projection(name, progress=told, keep_s=0) for name in what))
        rate, cpu_s = head / (time.perf_counter() - began), time.process_time() - cpu
    return Rebuilt(rate, cpu_s, _most_memory_mb(), (times[0], times[-1]))


def _most_memory_mb() -> float:
    """The most that this process ever had, as Linux tells it; `getrusage` includes the process that started it."""
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text("ascii").splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


if __name__ == "__main__":
    sys.stdout.write(msgspec.json.encode(asyncio.run(_rebuild(sys.argv[1], sys.argv[2], sys.argv[3:]))).decode())
