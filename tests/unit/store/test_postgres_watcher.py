"""Who waits for a log on PostgreSQL is told how far the server of today reaches, not another one before it."""

import asyncio

from diptych.store.postgres.connection import Server
from diptych.store.postgres.watcher import Watcher


async def test_an_append_over_a_connection_of_before_says_nothing_of_the_server_of_today() -> None:
    server = Server("postgresql://nobody@127.0.0.1:1/none", connections=1)
    watcher = Watcher(server, "channel", 0.1, lambda: asyncio.sleep(0, 90))
    server.connections = 2
    await watcher.wait_beyond(90, 0.01)

    watcher.appended(100, connections=1)
    waiting = asyncio.create_task(watcher.wait_beyond(90, 3600))
    await asyncio.sleep(0)
    assert not waiting.done()

    watcher.appended(95, connections=2)
    await asyncio.wait_for(waiting, 60)
    await watcher.close()
