"""
Run one statement on a connection that is held for such, with nothing around it: one round trip.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from diptych.store.postgres.connection import Server, farewell

AT_ONCE = 16


class Straight:
    """
    A few connections for single statements, opened when they are needed.

    Args:
        patience_s: How long to wait for a connection, a new one or one that others have.
        failed: What is raised in the place of any error of the driver, or where none was free in time.
    """

    def __init__(
        self,
        server: Server,
        settings: Mapping[str, str],
        *,
        patience_s: float,
        longest_s: float,
        failed: type[Exception],
    ) -> None:
        self._server, self._settings = server, dict(settings)
        self._patience_s, self._longest_s, self._failed = patience_s, longest_s, failed
        self._free: list[asyncpg.Connection] = []
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._is_closed = False

    async def fetch(self, statement: str, parameters: Sequence[Any]) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        """The names of what a statement reads, and its rows."""
        await self._turn()
        try:
            rows = await self._fetch(statement, parameters)
        except (
            asyncpg.PostgresError,
            asyncpg.InterfaceError,
            asyncpg.InternalClientError,
            OSError,
            ValueError,
        ) as error:
            raise self._failed(str(error)) from error
        finally:
            self._turns.release()
        return (list(rows[0].keys()) if rows else ()), [tuple(row) for row in rows]

    async def _turn(self) -> None:
        """Wait for a connection; another way would take longer than a short queue."""
        try:
            async with asyncio.timeout(self._patience_s):
                await self._turns.acquire()
        except TimeoutError as error:
            raise self._failed(f"{AT_ONCE} statements are under way") from error

    async def close(self) -> None:
        """Close every connection; one that is in use, once its statement has ended."""
        self._is_closed = True
        while self._free:
            await farewell(self._free.pop())

    async def _fetch(self, statement: str, parameters: Sequence[Any]) -> list[asyncpg.Record]:
        connection = self._free.pop() if self._free else await self._connected()
        try:
            rows = await connection.fetch(statement, *parameters)
        except BaseException:  # cancelled, too: what is on its way is not for the next
            connection.terminate()
            raise
        self._free.append(connection)
        if self._is_closed:
            await self.close()
        return rows

    async def _connected(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._server.dsn,
            timeout=self._patience_s,
            command_timeout=self._longest_s,
            statement_cache_size=100 if self._server.prepared else 0,
            server_settings=self._settings,
        )
