"""
Appends of eight processes to one log in PostgreSQL, where every commit waits 5 ms for the disk.

`p50` is beside one process that does the same alone: how much longer an append takes
because others append. `lock` is beside the same eight processes, each holding the order
lock until its commit is on disk: what letting it go before is worth.
"""

import asyncio
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from statistics import median

import msgspec

from benchmarks.append_postgres import SETTINGS, server
from benchmarks.compare import Result, compare

PROCESSES, IN_FLIGHT = 8, (8, 1)
SLOW_DISK = {**SETTINGS, "commit_delay": 5000, "commit_siblings": 0}
ROUND_S = 3.0


class Measured(msgspec.Struct):
    """What one process did in a round: appends a second, and the median time of one in ms."""

    rate: float
    p50: float


@dataclass(frozen=True)
class Fleet:
    """Processes that append when they are told to."""

    processes: Sequence["subprocess.Popen[bytes]"]

    async def measured(self, seconds: float) -> Measured:
        """One round of all: the sum of their rates, and the median of their medians."""
        return await asyncio.to_thread(self._measured, seconds)

    def _measured(self, seconds: float) -> Measured:
        for process in self.processes:
            assert process.stdin is not None
            process.stdin.write(f"{seconds}\n".encode())
            process.stdin.flush()
        each = [msgspec.json.decode(_line_of(process), type=Measured) for process in self.processes]
        return Measured(sum(one.rate for one in each), median(one.p50 for one in each))


async def run(scale: float) -> list[Result]:
    """Milliseconds an append, and events a second."""
    with server(SLOW_DISK) as cluster:
        return [row for in_flight in IN_FLIGHT for row in await _rows(cluster.url(), in_flight, ROUND_S * scale)]


async def _rows(url: str, in_flight: int, seconds: float) -> list[Result]:
    with ExitStack() as fleets:
        many = fleets.enter_context(fleet(url, PROCESSES, in_flight, "free"))
        alone = fleets.enter_context(fleet(url, 1, in_flight, "free"))
        locked = fleets.enter_context(fleet(url, PROCESSES, in_flight, "locked"))

        async def p50(side: Fleet) -> float:
            return (await side.measured(seconds)).p50

        async def rate(side: Fleet) -> float:
            return (await side.measured(seconds)).rate

        size = f"{PROCESSES}x{in_flight}"
        return [
            await compare(f"append-many/p50-{size}", lambda: p50(many), lambda: p50(alone), unit="ms"),
            await compare(f"append-many/lock-{size}", lambda: rate(many), lambda: rate(locked), unit="events/s"),
        ]


@contextmanager
def fleet(url: str, processes: int, in_flight: int, how: str) -> Iterator[Fleet]:
    """Processes with so many appends in flight each; `locked` ones hold the order lock until the disk has answered."""
    command = [sys.executable, "-m", "benchmarks.append_many_process", url, str(in_flight), how]
    started = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) for _ in range(processes)]
    try:
        for process in started:
            _line_of(process)  # it says when it is ready
        yield Fleet(started)
    finally:
        for process in started:
            process.kill()
            process.communicate()


def _line_of(process: "subprocess.Popen[bytes]") -> bytes:
    assert process.stdout is not None
    if line := process.stdout.readline():
        return line
    raise RuntimeError(f"a process that appends ended with {process.wait()}")
