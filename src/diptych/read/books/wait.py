"""
Wait until a projection has reached a position, however many wait at once.

One watcher per process reads the checkpoints for all that wait: a few times in the
first moments, less often the longer nothing moves, and at once when another process
tells that something did. Where a runner of this process moved, nobody has to look.
A wait ends with the truth: reached, or not and why (P7).
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from diptych.errors import Unavailable
from diptych.read import sql
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Checkpoint, Generation
from diptych.read.db.database import ReadDatabase
from diptych.read.db.straight import Unfit
from diptych.store.port import LogIdentity

T = TypeVar("T")
_logger = logging.getLogger("diptych.projection")

POLL_S = (0.004, 0.05)
AT_ONCE_S = 0.002  # what moves within this is looked at once
NEVER = 2**63 - 1
REWOUND = checkpoint.REWOUND
PARKED, PAUSED = "parked", "paused"
FINAL = ("faulted", "needs newer code", REWOUND, "another log", PAUSED)
SETTLED = (*FINAL, PARKED)
Served: TypeAlias = Mapping[tuple[str, int], Checkpoint]


@dataclass(frozen=True, slots=True)
class Reached:
    """
    How far a projection has come; why that is `stale`: "timeout", "another log" or the projection's state.

    "parked" says that it has come there but for an event at or below the position that was set aside, and what
    queues behind that.
    """

    position: int
    stale: bool = False
    reason: str | None = None


@dataclass(eq=False, slots=True)
class _Waiter:
    """Somebody who waits for a position of a log; of whichever is followed where that is None."""

    position: int
    log: LogIdentity | None
    done: "asyncio.Future[Reached]"

    def let_go(self, reached: Reached) -> None:
        """End the wait, unless it has ended."""
        if not self.done.done():
            self.done.set_result(reached)


class Watcher:
    """
    Wakes whoever waits for the checkpoints of one read database, as far as they are places in the log.

    Args:
        log: Which one; None where no log is at hand, and each who waits says of which log his position is.
    """

    def __init__(self, read_db: ReadDatabase, log: LogIdentity | None) -> None:
        self._read_db, self._log = read_db, log
        self._waiting: dict[tuple[str, int], set[_Waiter]] = {}
        self._not_in_this_log: set[Generation] = set()
        self._latest: dict[tuple[str, int], int] = {}  # where runners of this process have come
        self._looks = OneForAll(self._look_at_all)
        self._moved = asyncio.Event()
        self._is_failing = False
        self._pause_s = POLL_S[0]
        self._task: asyncio.Task[None] | None = None

    def distrust(self, of: Generation) -> None:
        """The checkpoint of a generation is no place in this log, whatever its number says."""
        self._not_in_this_log.add(of)

    def look(self) -> None:
        """Something moved in this process: look now, here and elsewhere."""
        self._moved.set()
        self._read_db.tell()

    def moved(self, of: Generation, position: int, parked_at: int | None = None) -> None:
        """A generation that is served, as far as this process knows, reached a position: let those who wait look."""
        key = (of.projection, of.version)
        self._latest[key] = position
        for waiter in self._waiting.get(key, ()):
            if waiter.position <= position:
                waiter.let_go(_come_to(position, waiter.position, parked_at))
        self._read_db.tell()

    def forget(self, of: Generation) -> None:
        """No runner of this process moves a generation any more: who waits is to look for what others move."""
        self._latest.pop((of.projection, of.version), None)
        self._moved.set()

    def lags(self, projection: str, version: int, position: int) -> bool:
        """Whether a runner of this process follows, and has not come to *position* yet: looking would be in vain."""
        latest = self._latest.get((projection, version))
        return latest is not None and latest < position

    async def wait(
        self, projection: str, version: int, position: int, timeout_s: float, *, log: LogIdentity | None = None
    ) -> Reached:
        """
        Wait until the served generation has applied everything up to *position*.

        Args:
            position: 0 waits until anything is served at all.
            timeout_s: 0 looks once.
            log: Which log the position is of, where the watcher doesn't know.
        """
        key = (projection, version)
        if timeout_s > 0:
            waiter = _Waiter(position, log, asyncio.get_running_loop().create_future())
            self._waiting.setdefault(key, set()).add(waiter)
            try:
                async with asyncio.timeout(timeout_s):
                    self._watch(at_once=not self.lags(projection, version, position))
                    return await waiter.done
            except TimeoutError:
                pass  # the last look is as good as the first
            finally:
                self._leave(key, waiter)
        found = (await self._looks.fresh()).get(key)
        return self.reached(found, position, log) if found else Reached(0, stale=True, reason="not served yet")

    def reached(self, found: Checkpoint, position: int, log: LogIdentity | None = None) -> Reached:
        """How far a checkpoint is, measured by a position that somebody waits for."""
        if found.log != (log or self._log or found.log):
            return Reached(found.position, stale=True, reason="another log")
        if found.state == REWOUND or found.of in self._not_in_this_log:
            return Reached(found.position, stale=True, reason=REWOUND)
        if found.position >= position:
            return _come_to(found.position, position, found.parked_at)
        return Reached(found.position, stale=True, reason=why_still(found) or "timeout")

    async def close(self) -> None:
        """Stop watching."""
        self._read_db.unlisten(self._moved.set)
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._looks.close()

    def _watch(self, *, at_once: bool) -> None:
        """Look again and again, soon as somebody waits anew; at once where it may be there already."""
        self._pause_s = POLL_S[0]
        if at_once:
            self._moved.set()
        if self._task is None or self._task.done():
            self._read_db.listen(self._moved.set)
            self._task = asyncio.create_task(self._watching(), name="diptych-watcher")

    async def _watching(self) -> None:
        """Look while anybody waits, then end."""
        while self._waiting:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause_s):
                    await self._moved.wait()
            self._moved.clear()
            self._pause_s = min(POLL_S[1], self._pause_s * 1.5)
            if self._waiting:
                await self._look_for_all()
                await asyncio.sleep(AT_ONCE_S)

    async def _look_for_all(self) -> None:
        """Look once; where that fails, those who wait learn of it by their own time-out, or the next look is well."""
        try:
            self._wake(await self._looks.fresh())
        except Unavailable:
            return
        except Exception:
            if not self._is_failing:
                _logger.exception("nobody who waits for a projection can be told how far it is")
            self._is_failing = True
        else:
            self._is_failing = False

    def _wake(self, served: Served) -> None:
        for key, waiters in self._waiting.items():
            if (found := served.get(key)) is not None:
                stands_still = self.reached(found, NEVER).reason in FINAL
                for waiter in waiters:
                    if stands_still or waiter.position <= found.position or waiter.log not in (None, found.log):
                        waiter.let_go(self.reached(found, waiter.position, waiter.log))

    def _leave(self, key: tuple[str, int], waiter: _Waiter) -> None:
        self._waiting[key].discard(waiter)
        if not self._waiting[key]:
            del self._waiting[key]

    async def _look_at_all(self) -> Served:
        every = await self._every()
        parts: dict[tuple[str, int], list[Checkpoint]] = {}
        for each in every:
            if each.served:
                parts.setdefault((each.of.projection, each.of.version), []).append(each)
        return {key: checkpoint.together(of_one) for key, of_one in parts.items()}

    async def _every(self) -> list[Checkpoint]:
        with suppress(Unfit):
            names, rows = await self._read_db.fetch(sql.plain("checkpoint_all"), ())
            return [checkpoint.of_row(dict(zip(names, row, strict=True))) for row in rows]
        async with self._read_db.snapshot() as connection:
            return await checkpoint.all_of(connection)


def _come_to(position: int, wanted: int, parked_at: int | None) -> Reached:
    parked = parked_at is not None and parked_at <= wanted
    return Reached(position, stale=parked, reason=PARKED if parked else None)


def why_still(found: Checkpoint) -> str | None:
    """Why a projection does not go on by itself; None if it does."""
    if found.state in FINAL:
        return found.state
    return PAUSED if found.paused else None


class OneForAll(Generic[T]):
    """Something that is asked for by many and done for all of them at once."""

    def __init__(self, do: Callable[[], Awaitable[T]]) -> None:
        self._do = do
        self._running: asyncio.Future[T] | None = None
        self._next: asyncio.Future[T] | None = None

    async def fresh(self) -> T:
        """
        What came of it, begun after this call.

        Raises:
            Unavailable: It was closed meanwhile.
        """
        if self._next is None:
            self._next = asyncio.ensure_future(self._after(self._running))
            self._next.add_done_callback(_retrieved)
        fresh = self._next
        await asyncio.wait([fresh])
        if fresh.cancelled():
            raise Unavailable("the read models are being closed: ask again where they are open")
        return fresh.result()

    async def close(self) -> None:
        """Give up what is under way."""
        under_way, self._running, self._next = (self._running, self._next), None, None
        for future in under_way:
            if future is not None:
                future.cancel()
                await asyncio.wait([future])

    async def _after(self, running: "asyncio.Future[T] | None") -> T:
        if running is not None:
            await asyncio.wait([running])
        self._running, self._next = self._next, None
        return await self._do()


def _retrieved(future: "asyncio.Future[T]") -> None:
    """An error that nobody waits for any more is of no interest."""
    if not future.cancelled():
        future.exception()
