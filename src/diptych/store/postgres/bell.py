"""
Tell other processes that something has changed, and hear of what they changed.

At most one notification in 10 ms, in a transaction of its own that nobody waits for.
It is a hint: it may be lost, and a pooler or a standby may not let it through, so who
waits also asks from time to time.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import asyncpg

from diptych.store.postgres.connection import Line, Server, farewell, is_away, pause
from diptych.store.statements import statements

_logger = logging.getLogger("diptych.postgres")

TELL_EVERY_S = 0.01
PROMOTED_S = 5.0
_NOTIFY = statements("postgres")["notify"]


class Bell:
    """
    A channel of a database.

    Args:
        heard: Called soon after somebody rang, and whenever that may have been missed.
    """

    def __init__(self, server: Server, channel: str, patience_s: float, heard: Callable[[], None]) -> None:
        self._server, self._channel, self._patience_s, self._heard = server, channel, patience_s, heard
        self._line = Line(server, patience_s)
        self._rung = self._closed = self._mute = False
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def ring(self) -> None:
        """Let it be heard in every process that listens."""
        self._rung = True
        if not self._mute:
            self._start("tell", self._tell)

    def listen(self) -> None:
        """Hear from now on until it is closed; a lost connection is made again."""
        self._start("listen", self._listen)

    async def close(self) -> None:
        """End the tasks and let the connections go."""
        self._closed = True
        for task in self._tasks.values():
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks.values())
        await self._line.close()

    def _start(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        task = self._tasks.get(name)
        if not self._closed and (task is None or task.done()):
            self._tasks[name] = asyncio.ensure_future(work())

    async def _tell(self) -> None:
        while self._rung:
            self._rung = False
            try:
                await self._line.fetch(_NOTIFY, self._channel, "")
            except asyncpg.InsufficientPrivilegeError as error:
                self._mute = True
                _logger.warning("processes are not told of each other's changes, and find out by asking: %s", error)
                return
            except Exception as error:  # what could not be told is found out by those who ask
                if not is_away(error):
                    raise
            await asyncio.sleep(TELL_EVERY_S)

    async def _listen(self) -> None:
        tries = 0
        while True:
            try:
                await self._listen_until_lost()
                tries = 0
            except asyncpg.ReadOnlySQLTransactionError:  # a standby tells nobody, until it is promoted
                await asyncio.sleep(PROMOTED_S)
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
            await connection.add_listener(self._channel, lambda *_: self._heard())
            self._heard()  # it may have rung before
            await lost.wait()
        finally:
            await farewell(connection)
