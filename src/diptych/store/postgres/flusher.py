"""
Make durable what was committed without waiting for the disk, once for all who ask at a time.

An append lets go of the order lock before it is synced, so that a reader may see it
then. What it is told must stay: a flush is a tiny transaction that waits until the
WAL is synced up to its own commit, and so with all that was committed before it was
sent. It looks first whether its witnesses are there: a crash may have taken them.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from diptych.store.postgres.connection import Line, Server, is_away, pause
from diptych.store.postgres.together import Together
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


class Flusher:
    """The connection for flushes; a flush that is asked for while one is under way is part of the next one."""

    def __init__(self, server: Server, patience_s: float) -> None:
        self._server, self._line, self._patience_s = server, Line(server, patience_s), patience_s
        self._callers = Together(self._are_there, "diptych-log-flusher")
        self._durable_up_to = self._connections = 0

    async def flush(self, witness: Witness) -> bool:
        """
        Whether the witness is durable now; False where it isn't in the log any more.

        Raises:
            Exception: What the driver said when the time was up.
        """
        return await self._callers.ask(witness)

    @property
    def durable_up_to(self) -> int:
        """Everything up to this position is synced; 0 where a new connection may lead to another server."""
        if self._connections != self._server.connections:
            self._connections, self._durable_up_to = self._server.connections, 0
        return self._durable_up_to

    def heard_of(self, position: int, connections: int) -> None:
        """
        The server says that everything up to a position is synced.

        Args:
            connections: How many there were before it was asked; with a new one it may be another server's word.
        """
        if connections == self._server.connections:
            self._durable_up_to = max(self.durable_up_to, position)

    async def close(self) -> None:
        """Finish what is asked, and let go of the connection."""
        await self._callers.ended()
        await self._line.close()

    async def _are_there(self, witnesses: Sequence[Witness]) -> Sequence[bool]:
        connections = self._server.connections
        all_there = await self._is_there(sum(witnesses, Witness()))
        there = [True] * len(witnesses) if all_there else [await self._is_there(each) for each in witnesses]
        for witness, is_there in zip(witnesses, there, strict=True):
            self.heard_of(max(witness.positions, default=0) if is_there else 0, connections)
        return there

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
