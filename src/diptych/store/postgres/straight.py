"""
Run one statement on a connection that is held for such, with nothing around it: one round trip.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from diptych.store.postgres.connection import Server, farewell

AT_ONCE = 8


class Straight:
    """
    A few connections for single statements, opened when they are needed.

    Args:
        failed: What is raised in the place of any error of the driver, or where all connections are taken.
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
        self._taken = 0

    async def fetch(self, statement: str, parameters: Sequence[Any]) -> tuple[Sequence[str], Sequence[Sequence[Any]]]:
        """The names of what a statement reads, and its rows."""
        if self._taken >= AT_ONCE:
            raise self._failed(f"{AT_ONCE} statements are under way")
        self._taken += 1
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
            self._taken -= 1
        return (list(rows[0].keys()) if rows else ()), [tuple(row) for row in rows]

    async def close(self) -> None:
        """Close every connection."""
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
        return rows

    async def _connected(self) -> asyncpg.Connection:
        return await asyncpg.connect(
            self._server.dsn,
            timeout=self._patience_s,
            command_timeout=self._longest_s,
            statement_cache_size=100 if self._server.prepared else 0,
            server_settings=self._settings,
        )
