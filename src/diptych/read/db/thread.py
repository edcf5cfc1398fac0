"""Do work in a thread of its own, and hear of it on the event loop."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import TypeVar

T = TypeVar("T")


class Thread:
    """One thread that does one thing after another; cheaper to reach than an executor's."""

    def __init__(self, name: str) -> None:
        self._work: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        threading.Thread(target=self._go_on, name=name, daemon=True).start()

    def run(self, work: Callable[[], T]) -> "asyncio.Future[T]":
        """What *work* will have given, for the running loop."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()

        def answered() -> None:
            try:
                settle = partial(_set_result, answer, work())
            except BaseException as error:  # noqa: BLE001  # whatever it is, it is the caller's
                settle = partial(_set_exception, answer, error)
            with suppress(RuntimeError):  # the loop was closed and nobody is left to answer
                loop.call_soon_threadsafe(settle)

        self._work.put(answered)
        return answer

    def end(self, last: Callable[[], None] | None = None) -> None:
        """Let the thread end, once it has done what it was given, and *last*."""
        if last is not None:
            self._work.put(last)
        self._work.put(None)

    def _go_on(self) -> None:
        while (work := self._work.get()) is not None:
            work()


def _set_result(answer: "asyncio.Future[T]", result: T) -> None:
    if not answer.cancelled():
        answer.set_result(result)


def _set_exception(answer: "asyncio.Future[T]", error: BaseException) -> None:
    if not answer.cancelled():
        answer.set_exception(error)
