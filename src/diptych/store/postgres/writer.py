"""
Commit appends a batch at a time, and answer each once it is durable.

    queue ──► one connection: append, let the order lock go, wait for the disk ──► answers
          ──► the other one:           append, let the order lock go, wait for the disk ──► answers

The next batch is sent right behind the last one, and waits there for the order lock. If it
came to it first, or the last one failed, nothing of it is appended, and it is sent again
when the last one is over. An append that was taken over is committed and answered even if
its caller is cancelled.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

from diptych.errors import OutcomeUnknown
from diptych.store.port import Append, Outcome
from diptych.store.postgres.appender import Appender, Turn
from diptych.store.postgres.batch import without_repeats
from diptych.store.queue import Limits, Queue, Waiting

FEW = 16


class Writer:
    """The queue before the server, and the tasks that work it off."""

    def __init__(self, appenders: Sequence[Appender], limits: Limits, *, moved_to: Callable[[int, int], None]) -> None:
        """
        *moved_to* is called with the log's new end, durable as it is, before anybody is answered, and
        with the number of connections that there were when it was sent.
        """
        self._appenders, self._moved_to = appenders, moved_to
        self._queue = Queue(limits)
        self._parts: deque[Sequence[Waiting]] = deque()
        self._free = list(appenders)
        self._unanswered = 0
        self._is_due = False
        self._end, self._is_alone = 0, False
        self._sending: set[asyncio.Task[None]] = set()
        self._last: Turn | None = None

    async def append(self, append: Append) -> Outcome:
        """The append's outcome, once it is durable; see `Store.append`."""
        waiting = self._queue.take_over(append, sent=self._unanswered)
        self._send_soon()
        return await waiting.answer

    async def close(self) -> None:
        """Take nothing new, answer everything that was taken over, and let go of the connections."""
        self._queue.close()
        while self._sending:
            await asyncio.wait(self._sending)
        for appender in self._appenders:
            await appender.close()

    def _send_soon(self) -> None:
        """Have a batch sent, if there is one and a connection is free."""
        if self._is_due or not (self._free and (self._parts or self._queue)):
            return
        # Not at once: whoever else is ready to append in this turn of the loop comes along.
        self._is_due = True
        task = asyncio.create_task(self._send_next(), name="diptych-log-append")
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def _send_next(self) -> None:
        self._is_due = False
        if part := self._next_part():
            appender = self._free.pop()
            self._send_soon()  # in the next turn of the loop, when this one is on its way
            await self._send(appender, part)

    def _next_part(self) -> Sequence[Waiting]:
        if not self._parts:
            self._parts.extend(part for part in without_repeats(self._queue.next_batch(self._half())) if part)
        return self._parts.popleft() if self._parts else ()

    def _half(self) -> int:
        """Half of those who wait, so that both connections have work; all where they are few."""
        return max(FEW, (len(self._queue) + self._unanswered + 1) // 2)

    async def _send(self, appender: Appender, part: Sequence[Waiting]) -> None:
        self._unanswered += len(part)
        behind, self._last = self._last, Turn(_event_of(part), asyncio.Event())
        turn = self._last
        try:
            await self._send_by(appender, part, behind)
        except BaseException as error:  # whatever it is, nobody waits for ever; and it may have been stored
            for waiting in part:
                in_doubt = OutcomeUnknown(waiting.append.id)
                in_doubt.__cause__ = error
                waiting.settle(in_doubt)
            raise
        finally:
            self._unanswered -= len(part)
            self._free.append(appender)
            turn.is_over.set()
            self._send_soon()

    async def _send_by(self, appender: Appender, part: Sequence[Waiting], behind: Turn | None) -> None:
        synchronous = len(part) == 1 and self._unanswered == 1 and self._is_alone
        appends = [waiting.append for waiting in part]
        sent = await appender.send(appends, synchronous=synchronous, behind=behind)
        self._is_alone = sent.before == self._end
        self._end = max(self._end, sent.head)
        durable = max([answer.position for answer in sent.answers if isinstance(answer, Outcome)], default=0)
        self._moved_to(durable, sent.connections)
        for waiting, answer in zip(part, sent.answers, strict=True):
            waiting.settle(answer)


def _event_of(part: Sequence[Waiting]) -> str:
    """The last event of a batch, "" where it has none."""
    for waiting in reversed(part):
        if waiting.append.streams:
            return waiting.append.streams[-1].events[-1].id
    return ""
