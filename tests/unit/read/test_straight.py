"""Connections for single statements are closed, also those that are in use at that time."""

import asyncio
import threading
from pathlib import Path

import apsw
from tests.faults.waiting import until

from diptych.read.db.straight import OnSqlite

LONG = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 300000) SELECT count(*) FROM c"


def threads() -> int:
    return sum(thread.name == "diptych-lookup" for thread in threading.enumerate())


async def test_a_connection_in_use_is_closed_once_its_statement_has_ended(tmp_path: Path) -> None:
    path = tmp_path / "read.db"
    apsw.Connection(str(path)).execute("CREATE TABLE t (x)")
    before, straight = threads(), OnSqlite(path)
    under_way = asyncio.create_task(straight.fetch(LONG, ()))
    await asyncio.sleep(0)

    await straight.close()

    assert (await under_way)[1] == [(300_000,)]
    await until(lambda: threads() == before, "its thread goes on")
