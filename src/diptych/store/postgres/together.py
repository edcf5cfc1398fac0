"""
Ask the server once for what several callers want to know at a time.

What is asked while an answer is awaited goes out together, as soon as that has come.
A question is sent after its caller asked it: the answer is as fresh as one of its own.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from diptych.errors import Unavailable
from diptych.store.postgres.connection import is_away

MOST = 100
Q = TypeVar("Q")
A = TypeVar("A")


class Together(Generic[Q, A]):
    """Callers of one kind of question, and the task that sends what they ask."""

    def __init__(self, answers_to: Callable[[Sequence[Q]], Awaitable[Sequence[A]]], name: str) -> None:
        """*answers_to* gives an answer to each question, in their order; what it raises is raised to all of them."""
        self._answers_to, self._name = answers_to, name
        self._asked: list[tuple[Q, asyncio.Future[A]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, question: Q) -> A:
        """The answer to one question."""
        answer: asyncio.Future[A] = asyncio.get_running_loop().create_future()
        self._asked.append((question, answer))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._send(), name=self._name)
        return await answer

    async def ended(self) -> None:
        """Wait until everything that was asked has its answer."""
        while self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def _send(self) -> None:
        while self._asked:
            asked, self._asked = self._asked[:MOST], self._asked[MOST:]
            try:
                await self._answer(asked)
            except BaseException:
                _fail([answer for _, answer in asked], ConnectionError("the log is closing"))
                raise

    async def _answer(self, asked: "Sequence[tuple[Q, asyncio.Future[A]]]") -> None:
        """Answer all of them at once; one by one where that fails of what is asked, so that only the guilty fails."""
        questions, waiting = zip(*asked, strict=True)
        try:
            answers = await self._answers_to(questions)
        except Exception as error:  # noqa: BLE001  # it is theirs who asked
            if len(asked) == 1 or isinstance(error, Unavailable) or is_away(error):
                _fail(waiting, error)
            else:
                for each in asked:
                    await self._answer([each])
        else:
            _settle(waiting, answers)


def _settle(waiting: "Sequence[asyncio.Future[A]]", answers: Sequence[A]) -> None:
    for each, answer in zip(waiting, answers, strict=True):
        if not each.done():
            each.set_result(answer)


def _fail(waiting: "Sequence[asyncio.Future[A]]", error: Exception) -> None:
    for each in waiting:
        if not each.done():
            each.set_exception(error)
