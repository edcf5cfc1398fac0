"""
Gather appends on the event loop and hand them to one thread, a whole batch per hop.

While the thread commits a batch, the next one gathers: the more callers, the larger
the batch, so that they share a sync of the disk. The order of calls is kept. An
append that was taken over is committed and answered even if its caller is cancelled.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue

from diptych.errors import Overloaded, Unavailable
from diptych.store.port import Append, Outcome
from diptych.store.sqlite.commit import Answer, Committer


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait, how much is committed at once, and how long anything may take."""

    queue_appends: int = 10_000
    queue_s: float = 10.0
    batch_appends: int = 512
    batch_bytes: int = 8 * 1024 * 1024
    patience_s: float = 5.0


@dataclass(frozen=True, slots=True)
class _Waiting:
    append: Append
    answer: asyncio.Future[Outcome]
    size: int
    since: float


class Writer:
    """The queue before the write connection, and the thread that owns it."""

    def __init__(self, committer: Committer, limits: Limits, *, moved_to: Callable[[int], None]) -> None:
        """*moved_to* is called on the loop with the log's new end, before anybody is answered."""
        self._committer, self._limits, self._moved_to = committer, limits, moved_to
        self._loop = asyncio.get_running_loop()
        self._queue: deque[_Waiting] = deque()
        self._batches: SimpleQueue[list[_Waiting] | None] = SimpleQueue()
        self._idle, self._ended = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="diptych-log-writer", daemon=True)
        self._thread.start()

    async def append(self, append: Append) -> Outcome:
        """The append's outcome, once it is durable; see `Store.append`."""
        if self._closed:
            raise Unavailable("the log is closed: open it again")
        if len(self._queue) >= self._limits.queue_appends:
            raise Overloaded("appends to the log", len(self._queue))
        waiting = _Waiting(append, self._loop.create_future(), _size(append), time.monotonic())
        self._queue.append(waiting)
        if self._idle.is_set():
            self._idle.clear()
            # Not at once: whoever else is ready to append in this turn of the loop comes along.
            self._loop.call_soon(self._send)
        return await waiting.answer

    async def finish(self) -> None:
        """Take nothing new, and answer everything that was taken over."""
        self._closed = True
        await self._idle.wait()

    async def close(self) -> None:
        """Finish, and end the thread and its connection."""
        await self.finish()
        self._batches.put(None)
        await self._ended.wait()
        self._thread.join()

    def _send(self) -> None:
        if batch := self._next_batch():
            self._batches.put(batch)
        else:
            self._idle.set()

    def _next_batch(self) -> list[_Waiting]:
        self._turn_away_the_late()
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < self._limits.batch_appends:
            size += self._queue[0].size
            if batch and size > self._limits.batch_bytes:
                break
            batch.append(self._queue.popleft())
        return batch

    def _turn_away_the_late(self) -> None:
        oldest_allowed = time.monotonic() - self._limits.queue_s
        while self._queue and self._queue[0].since < oldest_allowed:
            number = len(self._queue)
            _settle(self._queue.popleft(), Overloaded("appends to the log", number))

    def _work(self) -> None:
        """The thread: one batch after another until there is a None."""
        while (batch := self._batches.get()) is not None:
            answers = self._committer.commit([waiting.append for waiting in batch])
            self._on_loop(partial(self._answer, batch, answers))
        self._committer.close()
        self._on_loop(self._ended.set)

    def _on_loop(self, callback: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop was closed and nobody is left to answer
            self._loop.call_soon_threadsafe(callback)

    def _answer(self, batch: Sequence[_Waiting], answers: Sequence[Answer]) -> None:
        self._moved_to(max((answer.position for answer in answers if isinstance(answer, Outcome)), default=0))
        for waiting, answer in zip(batch, answers, strict=True):
            _settle(waiting, answer)
        self._send()


def _settle(waiting: _Waiting, answer: Answer) -> None:
    if waiting.answer.done():  # its caller was cancelled
        return
    if isinstance(answer, Outcome):
        waiting.answer.set_result(answer)
    else:
        waiting.answer.set_exception(answer)


def _size(append: Append) -> int:
    return sum(len(event.payload) + len(event.metadata) for stream in append.streams for event in stream.events)
