"""
Gather appends on the event loop, and hand them out in batches of bounded size.

The more callers, the larger the batch, so that they share a sync of the disk.
They are handed out in the order of calls. What waits is bounded by number and by time.
"""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from msgspec import Struct

from diptych.errors import Overloaded, Unavailable
from diptych.store.port import Append, Outcome

Answer: TypeAlias = Outcome | Exception


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait, how much is committed at once, and how long anything may take."""

    queue_appends: int = 10_000
    queue_s: float = 10.0
    batch_appends: int = 512
    batch_bytes: int = 8 * 1024 * 1024
    patience_s: float = 5.0


class Waiting(Struct, frozen=True):
    """An append that was taken over, and who waits for its outcome."""

    append: Append
    answer: "asyncio.Future[Outcome]"
    size: int
    since: float

    def settle(self, answer: Answer) -> None:
        """Answer its caller, unless that was cancelled."""
        if self.answer.done():
            return
        if isinstance(answer, Outcome):
            self.answer.set_result(answer)
        else:
            self.answer.set_exception(answer)


class Queue:
    """Appends that wait to be committed."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting: deque[Waiting] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def take_over(self, append: Append, *, sent: int = 0) -> Waiting:
        """
        Let an append wait for its turn.

        Args:
            sent: How many were handed out and have no answer yet, where they count as waiting.

        Raises:
            Overloaded: As many wait as may; nothing was sent.
            Unavailable: The log is closed.
        """
        if self._closed:
            raise Unavailable("the log is closed: open it again")
        if (number := len(self._waiting) + sent) >= self._limits.queue_appends:
            raise Overloaded("appends to the log", number)
        waiting = Waiting(append, asyncio.get_running_loop().create_future(), _size(append), time.monotonic())
        self._waiting.append(waiting)
        return waiting

    def close(self) -> None:
        """Take nothing new."""
        self._closed = True

    def next_batch(self, at_most: int | None = None) -> Sequence[Waiting]:
        """The appends whose turn it is; those that waited for too long are turned away."""
        self._turn_away_the_late()
        most = self._limits.batch_appends if at_most is None else min(at_most, self._limits.batch_appends)
        batch: list[Waiting] = []
        size = 0
        while self._waiting and len(batch) < most:
            size += self._waiting[0].size
            if batch and size > self._limits.batch_bytes:
                break
            batch.append(self._waiting.popleft())
        return batch

    def _turn_away_the_late(self) -> None:
        oldest_allowed = time.monotonic() - self._limits.queue_s
        while self._waiting and self._waiting[0].since < oldest_allowed:
            number = len(self._waiting)
            self._waiting.popleft().settle(Overloaded("appends to the log", number))


def _size(append: Append) -> int:
    size = len(append.command.result) if append.command else 0
    for stream in append.streams:
        for event in stream.events:
            size += len(event.payload) + len(event.metadata)
    return size
