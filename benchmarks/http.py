"""
Orders over HTTP beside what is written by hand with FastAPI and asyncpg.

Both are served by uvicorn, a process each, on one PostgreSQL server with its defaults, and
driven by the same client over 16 connections. Placing does the same work on both sides: the
key's row, the order with its lines, the row that is shown, by the same indexes; ours keeps
its read model in the same process meanwhile.
"""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import count
from time import perf_counter, sleep

import msgspec
from tests.clusters import Cluster, free_port
from tests.serving import environment

from benchmarks.append_postgres import SETTINGS
from benchmarks.compare import Result, compare

CONNECTIONS = 16
POSTS, GETS = 2_000, 4_000
TO_START_S = 60.0
ADDRESS = {"name": "Ann Lee", "street": "Main Street 1", "city": "Berlin", "postal_code": "10115", "country": "Germany"}
ITEMS = [
    {"product_id": "11", "product_name": "Queso Cabrales", "quantity": 12, "price": "14.00"},
    {"product_id": "42", "product_name": "Singaporean Hokkien Fried Mee", "quantity": 10, "price": "9.80"},
    {"product_id": "72", "product_name": "Mozzarella di Giovanni", "quantity": 5, "price": "34.80"},
]
_numbers = count()


async def run(scale: float) -> list[Result]:
    """Requests a second."""
    cluster = Cluster(settings=SETTINGS)
    try:
        cluster.make()
        cluster.start()
        with ours(cluster) as mine, theirs(cluster) as other:
            rows = [
                await compare(
                    "http/post-order",
                    lambda: mine.placing(int(POSTS * scale)),
                    lambda: other.placing(int(POSTS * scale)),
                    unit="requests/s",
                )
            ]
            await mine.settled()
            rows.append(
                await compare(
                    "http/get-order",
                    lambda: mine.showing(int(GETS * scale)),
                    lambda: other.showing(int(GETS * scale)),
                    unit="requests/s",
                    rounds=7,
                )
            )
            return rows
    finally:
        cluster.remove()


class Client:
    """Sends requests over connections that stay open, and remembers what it placed."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._placed: list[str] = []
        self._last = ""

    async def placing(self, requests: int) -> float:
        """Orders placed a second, each with a key of its own."""
        return await self._rate([self._order() for _ in range(requests)], 201)

    async def showing(self, requests: int) -> float:
        """Orders shown a second."""
        ids = [self._placed[number % len(self._placed)] for number in range(requests)]
        return await self._rate(
            [f"GET /orders/{order_id} HTTP/1.1\r\nHost: x\r\n\r\n".encode() for order_id in ids], 200
        )

    async def settled(self) -> None:
        """Wait until the order placed last is shown."""
        async with asyncio.timeout(TO_START_S):
            request = f"GET /orders/{self._last} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
            connection = await asyncio.open_connection("127.0.0.1", self._port)
            while (await _answer(*connection, request))[0] != 200:
                pass
            connection[1].close()

    def _order(self) -> bytes:
        number = next(_numbers)
        self._last = f"order-{number}"
        self._placed.append(self._last)
        order = {"order_id": self._last, "customer_id": f"customer-{number % 100}", "ordered_on": "2026-01-01"}
        body = msgspec.json.encode({**order, "items": ITEMS, "shipping_address": ADDRESS})
        head = (
            f"POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nIdempotency-Key: key-{number}\r\n"
        )
        return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body

    async def _rate(self, requests: Sequence[bytes], status: int) -> float:
        waiting = iter(requests)
        connections = [await asyncio.open_connection("127.0.0.1", self._port) for _ in range(CONNECTIONS)]

        async def send_one_after_another(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            for request in waiting:
                found, body = await _answer(reader, writer, request)
                if found != status:
                    raise RuntimeError(f"{found} instead of {status}: {body!r}")

        began = perf_counter()
        await asyncio.gather(*(send_one_after_another(*connection) for connection in connections))
        rate = len(requests) / (perf_counter() - began)
        for _, writer in connections:
            writer.close()
        return rate


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> tuple[int, bytes]:
    """Send a request on an open connection; status and body."""
    writer.write(request)
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return int(head[9:12]), await reader.readexactly(length)


@contextmanager
def ours(cluster: Cluster) -> Iterator[Client]:
    """Ours, log and read models in one database."""
    url = cluster.new_schema()
    command = ["-c", "import benchmarks.http_ours, uvicorn; " + UVICORN.format("benchmarks.http_ours.http")]
    with served(command, DIPTYCH_LOG_URL=url, DIPTYCH_READ_URL=url) as client:
        yield client


@contextmanager
def theirs(cluster: Cluster) -> Iterator[Client]:
    """What is written by hand."""
    command = ["-c", "import benchmarks.http_theirs, uvicorn; " + UVICORN.format("benchmarks.http_theirs.http")]
    with served(command, BENCH_DSN=cluster.url()) as client:
        yield client


UVICORN = "import os; uvicorn.run({}, port=int(os.environ['PORT']), log_level='error', access_log=False)"


@contextmanager
def served(command: Sequence[str], **names: str) -> Iterator[Client]:
    """A process that listens on a port of its own, until the block ends."""
    port = free_port()
    process = subprocess.Popen([sys.executable, *command], env=environment(PORT=str(port), **names) | _PATH)
    try:
        _wait_for(port, lambda: process.poll() is None)
        yield Client(port)
    finally:
        process.kill()
        process.wait()


def _wait_for(port: int, is_alive: Callable[[], bool]) -> None:
    deadline = perf_counter() + TO_START_S
    while perf_counter() < deadline and is_alive():
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        sleep(0.05)
    raise RuntimeError(f"nothing listens on {port}")


_PATH = {"PYTHONPATH": os.pathsep.join([environment()["PYTHONPATH"], os.getcwd()])}
