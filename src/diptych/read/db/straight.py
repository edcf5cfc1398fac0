"""
Run one statement straight on the driver: it is a snapshot of its own, and costs one round trip.

Connections of their own, without SQLAlchemy on the way. Whatever goes wrong is `Unfit`: the
caller asks again the long way, which knows what each error means.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import apsw

from diptych.read.db.cancellation import to_its_end
from diptych.read.db.sqlite import connect
from diptych.read.db.thread import Thread

AT_ONCE = 8
Found: TypeAlias = tuple[Sequence[str], Sequence[Sequence[Any]]]
"""The names of what a statement reads, and its rows."""


class Unfit(Exception):
    """A statement can't be answered this way now."""


class Straight(Protocol):
    """Connections for single statements, opened when they are needed."""

    async def fetch(self, statement: str, parameters: Sequence[Any]) -> Found:
        """
        What a statement finds.

        Raises:
            Unfit: Something went wrong, whatever it was.
        """

    async def close(self) -> None:
        """Close every connection; one that is in use, once its statement has ended."""


class OnSqlite:
    """A few connections to a file, each in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self._path = str(path)
        self._free: list[_Reader] = []
        self._open = 0
        self._is_closed = False

    async def fetch(self, statement: str, parameters: Sequence[Any]) -> Found:
        """See `Straight.fetch`."""
        reader = self._reader()
        try:
            # Nobody else may use the connection until the thread is done with it.
            return await to_its_end(reader.thread.run(partial(reader.fetch, statement, parameters)))
        except apsw.Error as error:
            raise Unfit(str(error)) from error
        finally:
            self._free.append(reader)
            if self._is_closed:
                await self.close()

    async def close(self) -> None:
        """See `Straight.close`."""
        self._is_closed = True
        while self._free:
            reader = self._free.pop()
            await to_its_end(reader.thread.run(reader.close))
            reader.thread.end()

    def _reader(self) -> "_Reader":
        if self._free:
            return self._free.pop()
        if self._open >= AT_ONCE:
            raise Unfit(f"{AT_ONCE} statements are under way")
        self._open += 1
        return _Reader(self._path)


class _Reader:
    """A connection in a thread."""

    def __init__(self, path: str) -> None:
        self.thread = Thread("diptych-lookup")
        self._path = path
        self._raw: apsw.Connection | None = None

    def fetch(self, statement: str, parameters: Sequence[Any]) -> Found:
        """What a statement finds; called in the thread."""
        if self._raw is None:
            self._raw = connect(self._path, query_only=True)
        cursor = self._raw.execute(statement, tuple(parameters))
        try:
            names = [column[0] for column in cursor.get_description()]
        except apsw.ExecutionCompleteError:  # there was no row to describe
            return (), ()
        return names, cursor.fetchall()

    def close(self) -> None:
        """Close the connection, if there is one; called in the thread."""
        if self._raw is not None:
            self._raw.close()
