"""Connections that are not ours, and a call of our function from there."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
from tests.clusters import Cluster

CALL = f"SELECT statuses FROM diptych_append($1, $2, true, {', '.join(f'${number}' for number in range(3, 28))})"


@asynccontextmanager
async def foreign(cluster: Cluster, database: str = "postgres", **settings: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(cluster.url(database), server_settings=settings)
    try:
        yield connection
    finally:
        await connection.close()
