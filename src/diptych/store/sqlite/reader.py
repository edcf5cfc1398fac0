"""
Look at the log from a few threads, one hop and one read-only connection per look.

A reader never waits for the writer, nor the writer for a reader. What it sees is
durable: SQLite shows a commit only after it has synced it.
"""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import apsw

from diptych.errors import Unavailable
from diptych.store.location import Place
from diptych.store.sqlite.connection import connect_reader, explain

T = TypeVar("T")

_THREADS = 4


async def in_own_thread(work: Callable[[], T]) -> T:
    """Do blocking work in a thread that ends with it."""
    thread = ThreadPoolExecutor(1, thread_name_prefix="diptych-log")
    try:
        return await asyncio.get_running_loop().run_in_executor(thread, work)
    finally:
        thread.shutdown(wait=False)


class Readers:
    """Threads and connections for reading, made when they are first needed."""

    def __init__(self, path: str) -> None:
        self._path, self._place = path, Place(path, what="the log")
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="diptych-log-reader")
        self._idle: deque[apsw.Connection] = deque()
        self._own: apsw.Connection | None = None
        self._closed = False

    async def ask(self, question: Callable[[apsw.Connection], T]) -> T:
        """The answer to *question*, asked in another thread with a connection to itself."""
        if self._closed:
            raise Unavailable("the log is closed: open it again")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._ask, question)

    async def glance(self, question: Callable[[apsw.Connection], T]) -> T:
        """
        The answer to a question that finds one row by its key: here and now, the way to a thread would cost far more.

        Where the file is held by somebody just now, it is asked in another thread all the same.
        """
        if self._closed:
            raise Unavailable("the log is closed: open it again")
        self._place.check()
        try:
            if self._own is None:
                self._own = connect_reader(self._path)
                self._own.set_busy_timeout(0)
            return question(self._own)
        except apsw.Error:
            return await self.ask(question)

    async def close(self) -> None:
        """Finish what is being asked, and let go of threads and connections."""
        self._closed = True
        await in_own_thread(self._close)

    def _ask(self, question: Callable[[apsw.Connection], T]) -> T:
        self._place.check()
        try:
            connection = self._connection()
            try:
                answer = question(connection)
            except BaseException:  # the connection goes, with whatever is wrong with it
                connection.close()
                raise
        except apsw.Error as error:
            raise explain(error, self._path) from error
        self._idle.append(connection)
        return answer

    def _connection(self) -> apsw.Connection:
        try:
            return self._idle.pop()
        except IndexError:
            return connect_reader(self._path)

    def _close(self) -> None:
        self._threads.shutdown(wait=True)
        for connection in (*self._idle, *([self._own] if self._own else [])):
            connection.close()
