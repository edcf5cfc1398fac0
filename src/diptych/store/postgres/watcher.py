"""
Tell waiting readers that the log has grown: at once for this process, soon for others.

Whoever appended tells the other processes with a notification, at most one in 10 ms,
in a transaction of its own that nobody waits for. It is a hint: it may be lost, or
a pooler may not let it through, so who waits also asks from time to time.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from diptych.errors import DiptychError
from diptych.store.postgres.connection import Line, Server, farewell, is_away, pause
from diptych.store.statements import statements
from diptych.store.waiters import Waiters

POLL_S = 0.1
TELL_EVERY_S = 0.01
_NOTIFY = statements("postgres")["notify"]


class Watcher:
    """Everybody who waits for the log to grow, and the highest position known."""

    def __init__(self, server: Server, channel: str, patience_s: float, ask_head: Callable[[], Awaitable[int]]) -> None:
        self._server, self._channel, self._patience_s, self._ask_head = server, channel, patience_s, ask_head
        self._line = Line(server, patience_s)
        self._waiters = Waiters()
        self._told = self._connections = 0
        self._heard = asyncio.Event()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._closed = False

    async def wait_beyond(self, position: int, timeout_s: float) -> None:
        """Return soon after the log reaches beyond *position*, or after *timeout_s*."""
        if self._connections != self._server.connections:  # to another server perhaps, whose log ends before
            self._connections = self._server.connections
            self._waiters.forget()
        await self._waiters.wait_beyond(position, timeout_s, began=self._begin)

    def appended(self, position: int) -> None:
        """This process has appended up to *position*: it is told here and everywhere."""
        if position > self._waiters.known:
            self.moved_to(position)
            self._start("tell", self._tell)

    def moved_to(self, position: int) -> None:
        """The log reaches up to *position* at least."""
        self._waiters.moved_to(position)

    async def close(self) -> None:
        """Send everybody home and end the tasks."""
        self._closed = True
        self._waiters.close()
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())
        await self._line.close()

    def _begin(self) -> None:
        self._heard.set()  # look at once
        self._start("listen", self._listen)
        self._start("poll", self._poll)

    def _start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        task = self._tasks.get(name)
        if not self._closed and (task is None or task.done()):
            self._tasks[name] = asyncio.ensure_future(work())

    async def _tell(self) -> None:
        while self._told != self._waiters.known:
            self._told = self._waiters.known
            try:
                await self._line.fetch(_NOTIFY, self._channel, str(self._told))
            except Exception as error:  # what could not be told is found out by those who ask
                if not is_away(error):
                    raise
            await asyncio.sleep(TELL_EVERY_S)

    async def _poll(self) -> None:
        """Ask while anybody waits, and at once when something was heard."""
        while self._waiters:
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._heard.wait()
            self._heard.clear()
            with suppress(DiptychError):  # who waits finds out by looking
                self.moved_to(await self._ask_head())

    async def _listen(self) -> None:
        """Hear what others tell, for as long as the log is open; a lost connection is made again."""
        tries = 0
        while True:
            try:
                await self._listen_until_lost()
                tries = 0
            except Exception as error:
                if not is_away(error):
                    raise
            await pause(tries)
            tries += 1

    async def _listen_until_lost(self) -> None:
        connection = await self._server.connect(self._patience_s)
        lost = asyncio.Event()
        try:
            connection.add_termination_listener(lambda *_: lost.set())
            await connection.add_listener(self._channel, self._hear)
            self._heard.set()  # something may have been told before
            await lost.wait()
        finally:
            await farewell(connection)

    def _hear(self, *_: object) -> None:
        self._heard.set()
