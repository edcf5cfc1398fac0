"""
Wait until a projection has reached a position, however many wait at once.

One watcher per process reads the checkpoints for all that wait: at once when a
runner of this process moved, and every few milliseconds for those of others, less
often the longer nothing moves.
A wait ends with the truth: reached, or not and why (P7).
"""

import asyncio
from contextlib import suppress
from dataclasses import dataclass

from diptych.errors import Unavailable
from diptych.read import checkpoint
from diptych.read.checkpoint import Checkpoint, Generation
from diptych.read.database import ReadDatabase
from diptych.store.port import LogIdentity

POLL_S = (0.004, 0.05)
REWOUND = "rewound"
FINAL = ("faulted", "needs newer code", REWOUND, "another log")


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a projection has come; why that is `stale`: "timeout", "another log" or the projection's state."""

    position: int
    stale: bool = False
    reason: str | None = None


@dataclass(eq=False, slots=True)
class _Waiter:
    projection: str
    version: int
    position: int
    done: "asyncio.Future[Reached]"

    def let_go(self, reached: Reached) -> None:
        """End the wait, unless it has ended."""
        if not self.done.done():
            self.done.set_result(reached)


class Watcher:
    """Wakes whoever waits for the checkpoints of one read database, as far as they are places in the log."""

    def __init__(self, read_db: ReadDatabase, log: LogIdentity) -> None:
        self._read_db, self._log = read_db, log
        self._waiters: set[_Waiter] = set()
        self._not_in_this_log: set[Generation] = set()
        self._latest: dict[tuple[str, int], int] = {}  # where runners of this process have come
        self._moved = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def distrust(self, of: Generation) -> None:
        """The checkpoint of a generation is no place in this log, whatever its number says."""
        self._not_in_this_log.add(of)

    def look(self) -> None:
        """Something moved: look now."""
        self._moved.set()

    def moved(self, of: Generation, position: int) -> None:
        """A generation that is served, as far as this process knows, reached a position: let those who wait look."""
        self._latest[of.projection, of.version] = position
        for waiter in self._waiters:
            if (waiter.projection, waiter.version) == (of.projection, of.version) and waiter.position <= position:
                waiter.let_go(Reached(position))

    def lags(self, projection: str, version: int, position: int) -> bool:
        """Whether a runner of this process follows, and has not come to *position* yet: looking would be in vain."""
        latest = self._latest.get((projection, version))
        return latest is not None and latest < position

    async def wait(self, projection: str, version: int, position: int, timeout_s: float) -> Reached:
        """
        Wait until the served generation has applied everything up to *position*.

        Args:
            position: 0 waits until anything is served at all.
            timeout_s: 0 looks once.
        """
        if timeout_s <= 0:
            return await self._look_once(projection, version, position)
        if position and not self.lags(projection, version, position):
            now = await self._look_once(projection, version, position)
            if not now.stale:
                return now
        waiter = _Waiter(projection, version, position, asyncio.get_running_loop().create_future())
        self._add(waiter)
        try:
            return await asyncio.wait_for(waiter.done, timeout_s)
        except TimeoutError:
            return await self._look_once(projection, version, position)
        finally:
            self._waiters.discard(waiter)

    def reached(self, found: Checkpoint, position: int) -> Reached:
        """How far a checkpoint is, measured by a position that somebody waits for."""
        if found.log != self._log:
            return Reached(found.position, stale=True, reason="another log")
        if found.state == REWOUND or found.of in self._not_in_this_log:
            return Reached(found.position, stale=True, reason=REWOUND)
        if found.position >= position:
            return Reached(found.position)
        reason = found.state if found.state in FINAL else "timeout"
        return Reached(found.position, stale=True, reason=reason)

    async def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _add(self, waiter: _Waiter) -> None:
        self._waiters.add(waiter)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="diptych-watcher")

    async def _watch(self) -> None:
        """Look while anybody waits, then end."""
        pause_s, waited = POLL_S[0], set[_Waiter]()
        while self._waiters:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), pause_s)
            self._moved.clear()
            with suppress(Unavailable):  # those who wait learn of it by their own time-out
                self._wake(await self._served())
            pause_s = POLL_S[0] if self._waiters - waited else min(POLL_S[1], pause_s * 1.5)
            waited = set(self._waiters)

    def _wake(self, served: dict[tuple[str, int], Checkpoint]) -> None:
        for waiter in tuple(self._waiters):
            found = served.get((waiter.projection, waiter.version))
            reached = self.reached(found, waiter.position) if found else None
            if reached is not None and (not reached.stale or reached.reason in FINAL):
                waiter.let_go(reached)

    async def _look_once(self, projection: str, version: int, position: int) -> Reached:
        found = (await self._served()).get((projection, version))
        return self.reached(found, position) if found else Reached(0, stale=True, reason="not served yet")

    async def _served(self) -> dict[tuple[str, int], Checkpoint]:
        async with self._read_db.snapshot() as connection:
            every = await checkpoint.all_of(connection)
        return {(each.of.projection, each.of.version): each for each in every if each.served}
