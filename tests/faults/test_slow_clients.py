"""Clients that dawdle and queries that wait hold nobody else up."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from time import perf_counter

import httpx
import pytest
from msgspec.structs import replace
from tests.faults.waiting import until
from tests.serving import Served

from diptych.token import Token

# Idle connections stay: one that is closed just when it is used again is nobody's fault, and not looked at here.
OPTIONS = "port=int(os.environ['PORT']), access_log=False, timeout_keep_alive=600"
SERVE = ["-c", f"import os, uvicorn; uvicorn.run('orders.app:http', {OPTIONS})"]
ORDER = {
    "customer_id": "ann",
    "ordered_on": "2026-01-01",
    "items": [{"product_id": "11", "quantity": 1, "price": "14.00", "product_name": "Queso Cabrales"}],
    "shipping_address": {"city": "Berlin", "country": "Germany"},
}
BYTE_S = 0.05
BUSY = 8  # others who ask, one request after another


@pytest.mark.alone
@pytest.mark.timeout(300)
async def test_slow_clients_and_waiting_queries_hold_nobody_up(
    serve: Callable[..., Served], amount: Callable[..., int]
) -> None:
    server = serve(*SERVE)
    slow, waiting = amount(short=20, long=200), amount(short=100, long=1_000)
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=server.url, timeout=60, limits=limits) as client:
        placed = await client.post("/orders", json=ORDER)
        mine = placed.json()["order_id"]
        later = Token.decode(placed.headers["Diptych-Position"])
        wish = {"Diptych-Position": replace(later, position=10**9).encode(), "Prefer": "wait=30"}
        async with asyncio.TaskGroup() as group, dawdling(server, slow):
            patient = [group.create_task(_wait_on(client, f"/orders/{mine}", wish)) for _ in range(waiting)]
            took: list[float] = []
            await asyncio.gather(*[_ask(client, mine, took, amount(short=20, long=250)) for _ in range(BUSY)])
            for each in patient:
                each.cancel()

        assert percentile(took, 0.99) < amount(short=10, long=1), sorted(took)[-5:]  # in `make test` others work, too


async def _wait_on(client: httpx.AsyncClient, path: str, wish: dict[str, str]) -> None:
    """Wait for what doesn't come, and again when the time is up."""
    while True:
        assert (await client.get(path, headers=wish)).headers["Diptych-Stale"] == "timeout"


async def _ask(client: httpx.AsyncClient, order_id: str, took: list[float], times: int) -> None:
    """Write and read, one after another, and note how long each took."""
    for number in range(times):
        began = perf_counter()
        answer = await (client.post("/orders", json=ORDER) if number % 2 else client.get(f"/orders/{order_id}"))
        took.append(perf_counter() - began)
        assert answer.is_success, answer.text


def percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)]


@asynccontextmanager
async def dawdling(server: Served, clients: int) -> AsyncIterator[None]:
    """Half of them send a byte of their order at a time, half take a byte of all orders at a time."""
    began: list[int] = []

    async def send(number: int) -> None:
        head = "POST /orders HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"
        with _connected(server) as raw:
            await _loop().sock_sendall(raw, head.encode())
            began.append(number)
            while True:
                await _loop().sock_sendall(raw, b" ")
                await asyncio.sleep(BYTE_S)

    async def take(number: int) -> None:
        head = "GET /orders/search?page_size=100 HTTP/1.1\r\nHost: x\r\nAccept: application/jsonl\r\n\r\n"
        with _connected(server) as raw:
            began.append(number)
            while True:
                await _loop().sock_sendall(raw, head.encode())
                for _ in range(1_000):
                    await _loop().sock_recv(raw, 1)
                    await asyncio.sleep(BYTE_S)

    tasks = [asyncio.create_task((send if number % 2 else take)(number)) for number in range(clients)]
    try:
        await until(lambda: len(began) == clients, "the slow clients did not begin")
        yield
        assert not any(task.done() for task in tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _connected(server: Served) -> socket.socket:
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    raw.connect(("127.0.0.1", server.port))
    raw.setblocking(False)
    return raw


def _loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()
