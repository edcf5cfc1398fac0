"""
Tell waiting readers that the log has grown: at once for this process, soon for others.

Whoever appended rings a bell for the other processes. That is a hint and may be lost,
so who waits also asks from time to time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from diptych.errors import DiptychError
from diptych.store.postgres.bell import Bell
from diptych.store.postgres.connection import Server
from diptych.store.waiters import Waiters

POLL_S = 0.1


class Watcher:
    """Everybody who waits for the log to grow, and the highest position known."""

    def __init__(self, server: Server, channel: str, patience_s: float, ask_head: Callable[[], Awaitable[int]]) -> None:
        self._server, self._ask_head = server, ask_head
        self._waiters = Waiters()
        self._heard = asyncio.Event()
        self._bell = Bell(server, channel, patience_s, self._heard.set)
        self._connections = 0
        self._polling: asyncio.Task[None] | None = None
        self._closed = False

    async def wait_beyond(self, position: int, timeout_s: float) -> None:
        """Return soon after the log reaches beyond *position*, or after *timeout_s*."""
        if self._connections != self._server.connections:  # to another server perhaps, whose log ends before
            self._connections = self._server.connections
            self._waiters.forget()
        await self._waiters.wait_beyond(position, timeout_s, began=self._begin)

    def appended(self, position: int, connections: int) -> None:
        """This process has appended up to *position*, over connections of that time: it is told here and everywhere."""
        if position > self._waiters.known:
            self._heard_of(position, connections)
            self._bell.ring()

    def moved_to(self, position: int) -> None:
        """The log reaches up to *position* at least."""
        self._waiters.moved_to(position)

    async def close(self) -> None:
        """Send everybody home and end the tasks."""
        self._closed = True
        self._waiters.close()
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.wait([self._polling])
        await self._bell.close()

    def _begin(self) -> None:
        self._heard.set()  # look at once
        self._bell.listen()
        if not self._closed and (self._polling is None or self._polling.done()):
            self._polling = asyncio.ensure_future(self._poll())

    async def _poll(self) -> None:
        """Ask while anybody waits, and at once when something was heard."""
        while self._waiters:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._heard.wait()
            self._heard.clear()
            connections = self._server.connections
            with suppress(DiptychError):  # who waits finds out by looking
                self._heard_of(await self._ask_head(), connections)

    def _heard_of(self, position: int, connections: int) -> None:
        """The log reaches up to *position*, unless that was on a server that is another one by now: ask that."""
        if connections == self._server.connections:
            self.moved_to(position)
        else:
            self._heard.set()
