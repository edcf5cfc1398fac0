"""
Work through a batch without the garbage collector.

A batch makes tens of thousands of values that all live until it is written. Each
few hundred of them would have the collector walk the whole program's objects for
cycles that aren't there: a third of the time of catching up. So it pauses from
reading a batch to its commit, and goes on when all values of the batch are gone.
Where batches overlap without end, or one waits for long, it has its turn now and then all the same.
"""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock
from time import monotonic
from weakref import WeakSet

LONGEST_S = 5.0


class _Pause:
    """How many need it now, over all threads, and since when the collector is off for them."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._inside = 0
        self._since: float | None = None
        self._looks: WeakSet[asyncio.AbstractEventLoop] = WeakSet()

    def enter(self) -> None:
        with self._lock:
            self._inside += 1
            if gc.isenabled():
                gc.disable()
                self._since = monotonic()
            if self._since is not None:
                self._look_in(LONGEST_S)

    def leave(self) -> None:
        with self._lock:
            self._inside -= 1
            if self._since is not None and (not self._inside or monotonic() - self._since > LONGEST_S):
                self._since = None
                gc.enable()

    def _look_in(self, seconds: float) -> None:
        """Have the loop of whoever is inside look: another loop may end, with its timers, at any time."""
        with suppress(RuntimeError):  # without a loop nothing waits
            loop = asyncio.get_running_loop()
            if loop not in self._looks:
                loop.call_later(seconds, self._look)
                self._looks.add(loop)

    def _look(self) -> None:
        """End a pause that is too long, whoever is inside."""
        with self._lock:
            self._looks.discard(asyncio.get_running_loop())
            if self._since is None:
                return
            if (left_s := self._since + LONGEST_S - monotonic()) > 0:
                self._look_in(left_s)
                return
            self._since = None
            gc.enable()


_pause = _Pause()


@contextmanager
def collector_paused() -> Iterator[None]:
    """Let no collection run inside, for some seconds at a time. Where it was switched off, it stays so."""
    _pause.enter()
    try:
        yield
    finally:
        _pause.leave()
