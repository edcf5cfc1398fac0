"""
Let readers wait for the log to grow, thousands at a time.

How a backend finds out that it has grown is its own affair; it says so here.
"""

import asyncio
from collections.abc import Callable


class Waiters:
    """Everybody who waits for the log to grow, and the highest position known."""

    def __init__(self) -> None:
        self._known = 0
        self._waiting: dict[asyncio.Future[None], int] = {}
        self._closed = False

    def __bool__(self) -> bool:
        """Whether anybody waits."""
        return bool(self._waiting)

    @property
    def known(self) -> int:
        """Where the log ends at least."""
        return self._known

    async def wait_beyond(self, position: int, timeout_s: float, *, began: Callable[[], None] | None = None) -> None:
        """
        Return soon after the log reaches beyond *position*, or after *timeout_s*.

        Args:
            began: Called if there is something to wait for, so that somebody looks.
        """
        if self._closed or self._known > position:
            return
        waiter = asyncio.get_running_loop().create_future()
        self._waiting[waiter] = position
        if began is not None:
            began()
        try:
            async with asyncio.timeout(timeout_s):
                await waiter
        except TimeoutError:
            pass
        finally:
            del self._waiting[waiter]

    def moved_to(self, position: int) -> None:
        """The log reaches up to *position* at least."""
        if position > self._known:
            self._known = position
            self._wake()

    def forget(self) -> None:
        """Where the log ends is not known any more: it may have gone back."""
        self._known = 0

    def close(self) -> None:
        """Send everybody home."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        for waiter, position in self._waiting.items():
            if not waiter.done() and (self._closed or self._known > position):
                waiter.set_result(None)
