"""
Hand appends to one thread, a whole batch per hop.

While the thread commits a batch, the next one gathers. An append that was taken
over is committed and answered even if its caller is cancelled.
"""

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from queue import SimpleQueue

from diptych.store.port import Append, Outcome
from diptych.store.queue import Answer, Limits, Queue, Waiting
from diptych.store.sqlite.commit import Committer


class Writer:
    """The queue before the write connection, and the thread that owns it."""

    def __init__(self, committer: Committer, limits: Limits, *, moved_to: Callable[[int], None]) -> None:
        """*moved_to* is called on the loop with the log's new end, before anybody is answered."""
        self._committer, self._moved_to = committer, moved_to
        self._loop = asyncio.get_running_loop()
        self._queue = Queue(limits)
        self._batches: SimpleQueue[Sequence[Waiting] | None] = SimpleQueue()
        self._idle, self._ended = asyncio.Event(), asyncio.Event()
        self._idle.set()
        self._thread = threading.Thread(target=self._work, name="diptych-log-writer", daemon=True)
        self._thread.start()

    async def append(self, append: Append) -> Outcome:
        """The append's outcome, once it is durable; see `Store.append`."""
        waiting = self._queue.take_over(append)
        if self._idle.is_set():
            self._idle.clear()
            # Not at once: whoever else is ready to append in this turn of the loop comes along.
            self._loop.call_soon(self._send)
        return await waiting.answer

    async def finish(self) -> None:
        """Take nothing new, and answer everything that was taken over."""
        self._queue.close()
        await self._idle.wait()

    async def close(self) -> None:
        """Finish, and end the thread and its connection."""
        await self.finish()
        self._batches.put(None)
        await self._ended.wait()
        self._thread.join()

    def _send(self) -> None:
        if batch := self._queue.next_batch():
            self._batches.put(batch)
        else:
            self._idle.set()

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

    def _answer(self, batch: Sequence[Waiting], answers: Sequence[Answer]) -> None:
        self._moved_to(max((answer.position for answer in answers if isinstance(answer, Outcome)), default=0))
        for waiting, answer in zip(batch, answers, strict=True):
            waiting.settle(answer)
        self._send()
