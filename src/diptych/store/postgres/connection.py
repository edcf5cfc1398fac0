"""
Reach the server, and say what an error of it or of the way there means.

No error of the driver leaves this package. What means *away* may pass: the
connection is thrown away, and another one tried.
"""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import asyncpg

from diptych.errors import BadDatabase, Misuse, Unavailable

Connection = asyncpg.Connection

APPLICATION = "diptych-log"
_OURS = {"unsafe", "prepared"}
# Every statement finds what it wants by an index; its plan is made once, and stays right while the log grows.
_SETTINGS = {
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
    "plan_cache_mode": "force_generic_plan",
}
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}

# By SQLSTATE: connection lost, resources exhausted, the server stopping, starting or not promoted, locks and time-outs.
_PASSING_CLASSES = ("08", "53", "57", "58")
_PASSING = {"25006", "25P03", "40001", "40P01", "55000", "55P03", "XX000"}


@dataclass(slots=True)
class Server:
    """
    A database of a server, and how it is used.

    Attributes:
        dsn: As libpq takes it.
        unsafe: Whether a server is accepted that loses what it acknowledged when it crashes.
        prepared: Whether statements are prepared; not through a pooler that gives each transaction another server.
        connections: How many were made so far; each may have come to another server than the last.
    """

    dsn: str = field(repr=False)  # it may hold a password
    unsafe: bool = False
    prepared: bool = True
    connections: int = 0

    @staticmethod
    def at(url: str) -> "Server":
        """
        The server that a URL names; `unsafe=` and `prepared=` in it are ours, the rest is the driver's.

        Raises:
            BadDatabase: One of ours is neither true nor false.
        """
        parts = urlsplit(url)
        query = parse_qsl(parts.query, keep_blank_values=True)
        theirs = urlencode([(name, value) for name, value in query if name not in _OURS], safe="/")
        ours = {name: _boolean(name, value) for name, value in query if name in _OURS}
        return Server(urlunsplit(parts._replace(query=theirs)), **ours)

    @property
    def name(self) -> str:
        """What it is called in messages: nothing secret."""
        parts = urlsplit(self.dsn)
        host = parts.netloc.rpartition("@")[2] or dict(parse_qsl(parts.query)).get("host", "")
        return f"{host}{parts.path}"

    async def connect(self, timeout_s: float) -> Connection:
        """A new connection."""
        connection = await asyncpg.connect(
            self.dsn,
            timeout=timeout_s,
            statement_cache_size=100 if self.prepared else 0,
            server_settings={"application_name": APPLICATION} | (_SETTINGS if self.prepared else {}),
        )
        self.connections += 1
        return connection


class NotConnected(ConnectionError):
    """The server was not reached: nothing was sent to it."""


class Line:
    """One connection that is kept, and made again when it was lost. Used by one task at a time."""

    def __init__(self, server: Server, patience_s: float) -> None:
        self._server, self._patience_s = server, patience_s
        self._connection: Connection | None = None

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """
        The rows of a statement.

        Raises:
            Exception: Whatever went wrong; where it means *away*, the connection is given up.
        """
        connection = await self._connected()
        try:
            async with asyncio.timeout(self._patience_s):
                if self._server.prepared:
                    return await connection.fetch(sql, *arguments)
                return await _in_transaction(connection, sql, arguments)
        except BaseException as error:
            if not isinstance(error, asyncpg.PostgresError) or is_away(error):
                self.abandon()
            raise

    def abandon(self) -> None:
        """Give the connection up, at once."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None

    async def close(self) -> None:
        """Say good-bye, if there is anybody to say it to."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await farewell(connection)

    async def _connected(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            try:
                self._connection = await self._server.connect(self._patience_s)
            except Exception as error:
                if not is_away(error):
                    raise
                raise NotConnected(str(error) or type(error).__name__) from error
        return self._connection


async def _in_transaction(connection: Connection, sql: str, arguments: Sequence[Any]) -> list[asyncpg.Record]:
    """
    The rows of a statement in a transaction of its own.

    It is rolled back only where the server itself refused: one that is silent would not answer that either.
    """
    transaction = connection.transaction()
    await transaction.start()
    try:
        rows = await connection.fetch(sql, *arguments)
    except asyncpg.PostgresError:
        await transaction.rollback()
        raise
    await transaction.commit()
    return rows


async def farewell(connection: Connection) -> None:
    """Close a connection; one that doesn't answer is dropped."""
    try:
        await connection.close(timeout=1.0)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        connection.terminate()


async def pause(tries: int) -> None:
    """Wait a little before trying again: about 10 ms at first, then longer, half a second at most."""
    await asyncio.sleep(random.uniform(0.5, 1.0) * min(0.01 * 2 ** min(tries, 10), 0.5))


def is_away(error: BaseException) -> bool:
    """Whether trying again later, on a new connection, may help."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        return state.startswith(_PASSING_CLASSES) or state in _PASSING
    return isinstance(error, OSError | TimeoutError | EOFError | asyncpg.InterfaceError | asyncpg.InternalClientError)


def explain(error: BaseException, where: str) -> Exception:
    """What a driver's error means to a caller."""
    if isinstance(error, asyncpg.InvalidCatalogNameError | asyncpg.InvalidAuthorizationSpecificationError):
        return BadDatabase(f"the log at {where} can't be opened: {error}")
    state = getattr(error, "sqlstate", None) or ""
    if isinstance(error, ValueError) or state.startswith(("22", "23")):
        return Misuse(f"the log at {where} refuses the append: {error}")
    if is_away(error):
        why = str(error) or type(error).__name__
        return Unavailable(f"the log at {where} can't be used now ({why}): try again")
    if isinstance(error, asyncpg.PostgresError):
        return BadDatabase(f"the log at {where} can't be used as it is: {error}")
    return error if isinstance(error, Exception) else Unavailable(f"the log at {where} is closing: open it again")


def _boolean(name: str, value: str) -> bool:
    if value not in _BOOLEANS:
        raise BadDatabase(f"{name}={value!r} in the URL: say {name}=true or {name}=false")
    return _BOOLEANS[value]
