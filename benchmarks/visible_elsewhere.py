"""
From a command to its effect in a read model that another process keeps in step; both databases in PostgreSQL.

The other side polls every 100 ms, in the process that asks, and looks for nothing else meanwhile.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from statistics import median, quantiles

from benchmarks.append_postgres import server
from benchmarks.compare import Result, compare
from benchmarks.visible import Notes, commands, polling, queries, seen, seen_by_poll
from diptych import Diptych

APP = Diptych(commands, queries, projections=[Notes])


async def run(scale: float) -> list[Result]:
    """Milliseconds from the command to the answer that holds it: the median, and the slowest of a hundred."""
    with server() as cluster:
        async with (
            _following(cluster.url()),
            APP.open(cluster.url(), cluster.url()) as running,
            polling(running) as polled,
        ):

            async def took() -> list[float]:
                return [await seen(running) for _ in range(int(200 * scale))]

            async def p50() -> float:
                return median(await took())

            async def p99() -> float:
                return quantiles(await took(), n=100)[98]

            async def theirs() -> float:
                return median([await seen_by_poll(running, polled) for _ in range(int(20 * scale) or 1)])

            return [
                await compare("visible/other-process-p50", p50, theirs, unit="ms"),
                await compare("visible/other-process-p99", p99, theirs, unit="ms"),
            ]


@asynccontextmanager
async def _following(url: str) -> AsyncIterator[None]:
    """Another process, which owns the projection."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.visible_elsewhere", url, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        if not await process.stdout.readline():
            raise RuntimeError(f"the process that follows ended with {await process.wait()}")
        yield
    finally:
        process.kill()
        await process.wait()


async def follow(url: str) -> None:
    """Keep the read model in step, until killed."""
    async with APP.open(url, url) as running:
        await running.caught_up()
        sys.stdout.write("following\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1]))
