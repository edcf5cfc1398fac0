"""
Make durable what was committed without waiting for the disk, once for all who ask at a time.

An append lets go of the order lock before it is synced, so that a reader may see it
then. What it is told must stay: a flush is a tiny transaction that waits until the
WAL is synced up to its own commit, and so with all that was committed before it was
sent. It looks first whether its witnesses are there: a crash may have taken them.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from diptych.store.postgres.connection import Line, Server, is_away, pause
from diptych.store.statements import statements

_FLUSH = statements("postgres")["flush"]


@dataclass(frozen=True, slots=True)
class Witness:
    """
    What was seen in the log, and is told to nobody before it is durable.

    Attributes:
        positions, ids: Events, by both.
        commands: Ids of commands.
    """

    positions: tuple[int, ...] = ()
    ids: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    def __add__(self, other: "Witness") -> "Witness":
        return Witness(self.positions + other.positions, self.ids + other.ids, self.commands + other.commands)


@dataclass(frozen=True, slots=True)
class _Asked:
    witness: Witness
    answer: "asyncio.Future[bool]"


class Flusher:
    """The connection for flushes; a flush that is asked for while one is under way is part of the next one."""

    def __init__(self, server: Server, patience_s: float) -> None:
        self._server, self._line, self._patience_s = server, Line(server, patience_s), patience_s
        self._asked: list[_Asked] = []
        self._task: asyncio.Task[None] | None = None
        self._durable_up_to = self._connections = 0

    async def flush(self, witness: Witness) -> bool:
        """
        Whether the witness is durable now; False where it isn't in the log any more.

        Raises:
            Exception: What the driver said when the time was up.
        """
        asked = _Asked(witness, asyncio.get_running_loop().create_future())
        self._asked.append(asked)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._work(), name="diptych-log-flusher")
        return await asked.answer

    @property
    def durable_up_to(self) -> int:
        """Everything up to this position is synced; 0 where a new connection may lead to another server."""
        if self._connections != self._server.connections:
            self._connections, self._durable_up_to = self._server.connections, 0
        return self._durable_up_to

    def heard_of(self, position: int) -> None:
        """The server says that everything up to a position is synced."""
        self._durable_up_to = max(self.durable_up_to, position)

    async def close(self) -> None:
        """Finish what is asked, and let go of the connection."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
        await self._line.close()

    async def _work(self) -> None:
        while self._asked:
            asked, self._asked = self._asked, []
            try:
                if await self._is_there(sum((each.witness for each in asked), Witness())):
                    self._settle(asked, there=True)
                else:
                    for each in asked:
                        self._settle([each], there=await self._is_there(each.witness))
            except Exception as error:  # it is theirs who asked
                _fail(asked, error)
            except BaseException:
                _fail(asked, ConnectionError("the log is closing"))
                raise

    async def _is_there(self, witness: Witness) -> bool:
        deadline = time.monotonic() + self._patience_s
        tries = 0
        while True:
            try:
                rows = await self._line.fetch(
                    _FLUSH, list(witness.positions), list(witness.ids), list(witness.commands)
                )
                return bool(rows[0][0])
            except Exception as error:
                if not is_away(error) or time.monotonic() > deadline:
                    raise
            await pause(tries)
            tries += 1

    def _settle(self, asked: Sequence[_Asked], *, there: bool) -> None:
        for each in asked:
            if there:
                self.heard_of(max(each.witness.positions, default=0))
            if not each.answer.done():
                each.answer.set_result(there)


def _fail(asked: Sequence[_Asked], error: Exception) -> None:
    for each in asked:
        if not each.answer.done():
            each.answer.set_exception(error)
