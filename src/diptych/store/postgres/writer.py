"""
Commit appends a batch at a time, and answer each once it is durable.

    queue ──► one connection: append, let the order lock go, wait for the disk ──► answers
          ──► the other one:           append, let the order lock go, wait for the disk ──► answers

The next batch is sent as soon as the place of the last in the order is certain. An
append that was taken over is committed and answered even if its caller is cancelled.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from diptych.errors import OutcomeUnknown
from diptych.store.port import Append, Outcome
from diptych.store.postgres.appender import Appender
from diptych.store.postgres.batch import without_repeats
from diptych.store.queue import Answer, Limits, Queue, Waiting

FEW = 16


class Writer:
    """The queue before the server, and the tasks that work it off."""

    def __init__(self, appenders: Sequence[Appender], limits: Limits, *, moved_to: Callable[[int], None]) -> None:
        """*moved_to* is called with the log's new end, durable as it is, before anybody is answered."""
        self._appenders, self._moved_to = appenders, moved_to
        self._queue = Queue(limits)
        self._parts: deque[Sequence[Waiting]] = deque()
        self._free = list(appenders)
        self._unanswered = 0
        self._may_send, self._is_due = True, False
        self._end, self._is_alone = 0, False
        self._sending: set[asyncio.Task[None]] = set()

    async def append(self, append: Append) -> Outcome:
        """The append's outcome, once it is durable; see `Store.append`."""
        waiting = self._queue.take_over(append, sent=self._unanswered)
        if not self._is_due and self._may_send and self._free:
            self._is_due = True
            # Not at once: whoever else is ready to append in this turn of the loop comes along.
            asyncio.get_running_loop().call_soon(self._send_next)
        return await waiting.answer

    async def close(self) -> None:
        """Take nothing new, answer everything that was taken over, and let go of the connections."""
        self._queue.close()
        while self._is_due or self._sending:
            await asyncio.wait(self._sending) if self._sending else await asyncio.sleep(0)
        for appender in self._appenders:
            await appender.close()

    def _send_next(self) -> None:
        """Send a batch, if there is one, a connection is free, and the place of the last one is certain."""
        self._is_due = False
        if not (self._may_send and self._free):
            return
        if not self._parts:
            self._parts.extend(part for part in without_repeats(self._queue.next_batch(self._half())) if part)
        if self._parts:
            part = self._parts.popleft()
            self._unanswered += len(part)
            self._may_send = False
            task = asyncio.create_task(self._send(self._free.pop(), part), name="diptych-log-append")
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def _appended(self) -> None:
        """The place of the last batch is certain."""
        self._may_send = True
        self._send_next()

    def _half(self) -> int:
        """Half of those who wait, so that both connections have work; all where they are few."""
        return max(FEW, (len(self._queue) + self._unanswered + 1) // 2)

    async def _send(self, appender: Appender, part: Sequence[Waiting]) -> None:
        passed = False

        def appended() -> None:
            nonlocal passed
            if not passed:
                passed = True
                self._appended()

        try:
            await self._send_by(appender, part, appended)
        except BaseException as error:  # whatever it is, nobody waits for ever; and it may have been stored
            for waiting in part:
                in_doubt = OutcomeUnknown(waiting.append.id)
                in_doubt.__cause__ = error
                waiting.settle(in_doubt)
            raise
        finally:
            self._unanswered -= len(part)
            self._free.append(appender)
            appended()
            self._send_next()

    async def _send_by(self, appender: Appender, part: Sequence[Waiting], appended: Callable[[], None]) -> None:
        synchronous = len(part) == 1 and self._unanswered == 1 and self._is_alone
        sent = await appender.send([waiting.append for waiting in part], synchronous=synchronous, appended=appended)
        self._is_alone = sent.before == self._end
        self._end = max(self._end, sent.head)
        self._answer(part, sent.answers)

    def _answer(self, part: Sequence[Waiting], answers: Sequence[Answer]) -> None:
        self._moved_to(max((answer.position for answer in answers if isinstance(answer, Outcome)), default=0))
        for waiting, answer in zip(part, answers, strict=True):
            waiting.settle(answer)
