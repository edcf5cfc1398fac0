"""
Commit appends a batch at a time, and answer each once it is durable.

    queue ──► appender: one round trip, one transaction, committed in memory
                 └──► flusher: one sync for all batches that are through ──► answers

The next batch is sent while the last is flushed. An append that was taken over is
committed and answered even if its caller is cancelled.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from diptych.errors import OutcomeUnknown, Unavailable
from diptych.store.port import Append, Outcome
from diptych.store.postgres.appender import Appender, Sent
from diptych.store.postgres.batch import Witness, without_repeats
from diptych.store.postgres.connection import explain
from diptych.store.postgres.flusher import Flusher
from diptych.store.queue import Answer, Limits, Queue, Waiting

FEW = 16


class Writer:
    """The queue before the server, and the tasks that work it off."""

    def __init__(
        self, appender: Appender, flusher: Flusher, where: str, limits: Limits, *, moved_to: Callable[[int], None]
    ) -> None:
        """*moved_to* is called with the log's new end, before anybody is answered."""
        self._appender, self._flusher, self._where, self._moved_to = appender, flusher, where, moved_to
        self._queue = Queue(limits)
        self._again: deque[Sequence[Waiting]] = deque()
        self._unanswered = 0
        self._work: asyncio.Task[None] | None = None
        self._flushes: set[asyncio.Task[None]] = set()

    async def append(self, append: Append) -> Outcome:
        """The append's outcome, once it is durable; see `Store.append`."""
        waiting = self._queue.take_over(append, sent=self._unanswered)
        self._go_on()
        return await waiting.answer

    async def close(self) -> None:
        """Take nothing new, answer everything that was taken over, and let go of the connection."""
        self._queue.close()
        while tasks := [task for task in (self._work, *self._flushes) if task is not None and not task.done()]:
            await asyncio.wait(tasks)
        await self._appender.close()

    def _go_on(self) -> None:
        if self._work is None or self._work.done():
            self._work = asyncio.create_task(self._work_off(), name="diptych-log-writer")

    async def _work_off(self) -> None:
        # Not at once: whoever else is ready to append in this turn of the loop comes along.
        await asyncio.sleep(0)
        while self._again or self._queue:
            batch = self._again.popleft() if self._again else self._queue.next_batch(self._half())
            for part in without_repeats(batch):
                if part:
                    await self._send(part)

    def _half(self) -> int:
        """Half of those who wait, so that one half is sent while the other is flushed; all where they are few."""
        return max(FEW, (len(self._queue) + self._unanswered + 1) // 2)

    async def _send(self, part: Sequence[Waiting]) -> None:
        self._unanswered += len(part)
        synchronous = len(part) == 1 and not self._flushes and self._appender.is_alone
        sent = await self._appender.send([waiting.append for waiting in part], synchronous=synchronous)
        if sent.is_durable or sent.witness == Witness():
            self._answer(part, sent.answers)
            return
        flush = asyncio.create_task(self._flushed(part, sent), name="diptych-log-flush")
        self._flushes.add(flush)
        flush.add_done_callback(self._flushes.discard)

    async def _flushed(self, part: Sequence[Waiting], sent: Sent) -> None:
        try:
            durable = await self._flusher.flush(sent.witness)
        except Exception as error:  # the answers are in doubt, whatever it is
            self._answer(
                part, [_in_doubt(waiting.append, each, error, self._where) for waiting, each in _both(part, sent)]
            )
            return
        if durable:
            self._answer(part, sent.answers)
        else:  # the server lost them in a crash, so they never were
            self._unanswered -= len(part)
            self._again.append(part)
            self._go_on()

    def _answer(self, part: Sequence[Waiting], answers: Sequence[Answer]) -> None:
        self._unanswered -= len(part)
        self._moved_to(max((answer.position for answer in answers if isinstance(answer, Outcome)), default=0))
        for waiting, answer in zip(part, answers, strict=True):
            waiting.settle(answer)


def _both(part: Sequence[Waiting], sent: Sent) -> list[tuple[Waiting, Answer]]:
    return list(zip(part, sent.answers, strict=True))


def _in_doubt(append: Append, answer: Answer, error: Exception, where: str) -> Exception:
    """What is told of an answer that could not be made durable in time."""
    told = OutcomeUnknown(append.id) if isinstance(answer, Outcome) else explain(error, where)
    if not isinstance(told, Unavailable):
        told = Unavailable(f"the log at {where} can't be used now ({error}): try again")
    told.__cause__ = error
    return told
