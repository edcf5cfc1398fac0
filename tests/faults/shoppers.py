"""
Shop at the Orders application over HTTP, whatever happens to it, and keep what was answered.

A shopper sends one command after another, each under a key of its own, and sends it
again until it is answered: so each order's events are known exactly in the end.
"""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from random import Random

import httpx
from tests.faults.waiting import DEADLINE_S, until

LINE = {"product_id": "11", "product_name": "Queso Cabrales", "quantity": 1, "price": "14.00"}
ASK_AGAIN_S = 0.02


class Shop:
    """What all shoppers did: the events that each stream must hold, and how many commands were answered."""

    def __init__(self, url: str, *, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.streams: dict[str, list[str]] = {}
        self.accepted = self.refused = self.asked_again = 0
        self._http = httpx.AsyncClient(base_url=url, timeout=30.0, transport=transport)
        self._closing = False

    @asynccontextmanager
    async def open(self, shoppers: int, *, seed: int = 1) -> AsyncIterator["Shop"]:
        """Let shoppers in; at the end each finishes the order that it is at."""
        async with self._http, asyncio.TaskGroup() as group:
            for number in range(shoppers):
                group.create_task(self._shop(f"{seed}-{number}", Random(f"{seed}-{number}")))  # repeatable
            try:
                yield self
            finally:
                self._closing = True

    async def more_accepted(self, number: int) -> None:
        """Wait until so many more commands were accepted."""
        wanted = self.accepted + number
        await until(lambda: self.accepted >= wanted, f"fewer than {number} commands were accepted")

    async def more_asked_again(self, number: int) -> None:
        """Wait until so many more commands were not answered, or told to come again."""
        wanted = self.asked_again + number
        await until(lambda: self.asked_again >= wanted, f"fewer than {number} commands were turned away")

    async def _shop(self, name: str, random: Random) -> None:
        for number in itertools.count():
            if self._closing:
                return
            await self._order(f"{name}-{number}", random)

    async def _order(self, order_id: str, random: Random) -> None:
        events = self.streams.setdefault(f"Order-{order_id}", [])
        body = {"order_id": order_id, "customer_id": f"c{order_id[-1]}", "items": [LINE], "shipping_address": {}}
        await self._send("POST", "/orders", f"{order_id}-place", body)
        events.append("OrderPlaced")
        if random.random() < 0.5:
            await self._send("POST", f"/orders/{order_id}/items", f"{order_id}-add", {**LINE, "price": "2.50"})
            events.append("ItemAdded")
        if random.random() < 0.5:
            await self._send("POST", f"/orders/{order_id}/ship", f"{order_id}-ship", {})
            events.append("OrderShipped")
            await self._send("DELETE", f"/orders/{order_id}", f"{order_id}-late", None, expected=409)
        elif random.random() < 0.5:
            await self._send("DELETE", f"/orders/{order_id}?reason=x", f"{order_id}-cancel", None)
            events.append("OrderCancelled")

    async def _send(
        self, method: str, path: str, key: str, body: object, *, expected: int | None = None
    ) -> httpx.Response:
        """Send a command until it is answered; the answer must be what the rules say."""
        deadline = time.monotonic() + DEADLINE_S
        while True:
            with suppress(httpx.TransportError):
                answer = await self._http.request(method, path, json=body, headers={"Idempotency-Key": key})
                if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:
                    break
            assert time.monotonic() < deadline, f"{method} {path}: no answer"
            self.asked_again += 1
            await asyncio.sleep(ASK_AGAIN_S)
        if expected is None:
            assert answer.is_success, answer.text
            self.accepted += 1
        else:
            assert answer.status_code == expected, answer.text
            self.refused += 1
        return answer
