"""
Tell waiting readers that the log has grown: at once for this process, soon for others.

While somebody waits, one task for all of them looks at the size and time of the
write-ahead log's file, which is no statement. It asks for the head only for a moment
after that changes, and once a second in case a change was missed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from diptych.errors import DiptychError
from diptych.store.waiters import Waiters

_TICK_S = 0.01


class Watcher:
    """Everybody who waits for the log to grow, and the highest position known."""

    def __init__(
        self, wal: Path, ask_head: Callable[[], Awaitable[int]], *, ask_every_s: float = 1.0, sync_takes_s: float = 0.1
    ) -> None:
        """*sync_takes_s*: a commit changes the file when it is written, but is seen only once it is synced."""
        self._wal, self._ask_head = wal, ask_head
        self._ask_every_s, self._sync_takes_s = ask_every_s, sync_takes_s
        self._waiters = Waiters()
        self._task: asyncio.Task[None] | None = None
        self._seen: tuple[int, int] | None = None
        self._changed_at = self._asked_at = float("-inf")

    async def wait_beyond(self, position: int, timeout_s: float) -> None:
        """Return soon after the log reaches beyond *position*, or after *timeout_s*."""
        await self._waiters.wait_beyond(position, timeout_s, began=self._start)

    def moved_to(self, position: int) -> None:
        """The log reaches up to *position* at least."""
        self._waiters.moved_to(position)

    def looked(self, head: int) -> None:
        """Somebody has just asked and found *head*: the regular question can wait."""
        self._asked_at = time.monotonic()
        self.moved_to(head)

    async def close(self) -> None:
        """Send everybody home and end the task."""
        self._waiters.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _start(self) -> None:
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch(), name="diptych-log-watcher")

    async def _watch(self) -> None:
        while self._waiters:
            if self._is_due():
                with suppress(DiptychError):  # who waits finds out by looking
                    self.looked(await self._ask_head())
            await asyncio.sleep(_TICK_S)

    def _is_due(self) -> bool:
        now = time.monotonic()
        if (current := self._stat()) != self._seen:
            self._seen, self._changed_at = current, now
        return now - self._changed_at < self._sync_takes_s or now - self._asked_at >= self._ask_every_s

    def _stat(self) -> tuple[int, int]:
        try:
            stat = self._wal.stat()
        except OSError:
            return (0, 0)
        return (stat.st_size, stat.st_mtime_ns)
