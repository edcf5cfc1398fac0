"""PgBouncer in transaction mode between a program and its server: a transaction each may be another connection."""

import asyncio
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.clusters import Cluster, free_port
from tests.faults.checks import check_read_models
from tests.faults.postgres.load import check, under_load
from tests.faults.test_cancellation import place

from diptych.store.postgres import open_postgres
from diptych.testing.conformance.case import an_append, everything, to
from orders.app import app
from orders.messages import SearchOrders

POOLER = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
SETTINGS = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
auth_type = any
pool_mode = transaction
default_pool_size = 5
ignore_startup_parameters = extra_float_digits
unix_socket_dir =
logfile = {folder}/pgbouncer.log
"""


@pytest.fixture
def pooled(cluster: Cluster) -> Iterator[str]:
    """The URL of a server through a pooler with five connections for all."""
    if POOLER is None:
        pytest.skip("NO PGBOUNCER ON THIS MACHINE (Debian's package pgbouncer): a pooler was not tested")
    port, settings = free_port(), cluster.folder / "pgbouncer.ini"
    settings.write_text(SETTINGS.format(server=cluster.port, port=port, folder=cluster.folder))
    process = subprocess.Popen(
        [POOLER, "-q", settings], user="nobody" if os.geteuid() == 0 else None, cwd=cluster.folder
    )
    deadline = time.monotonic() + 30
    while not _listens(port):
        assert process.poll() is None, (cluster.folder / "pgbouncer.log").read_text()
        assert time.monotonic() < deadline, "not ready in time"
        time.sleep(0.02)
    yield f"{cluster.url('postgres', port=port)}?prepared=false"
    process.kill()
    process.wait()


async def test_a_log_works_through_a_pooler(pooled: str) -> None:
    async with open_postgres(pooled) as one, open_postgres(pooled) as other:
        for number in range(20):
            head = await other.head()
            waiting = asyncio.create_task(other.wait_beyond(head, 60))
            await one.append(an_append(to(f"Order-{number}")))
            await asyncio.wait_for(waiting, 30)

        assert await everything(one) == await everything(other)
        assert len(await everything(one)) == 20


async def test_read_models_work_through_a_pooler(pooled: str) -> None:
    async with app.open(pooled, pooled) as running:
        for number in range(20):
            await place(running, f"o-{number}")
            answer = await running.ask(SearchOrders(), position=await running.event_store.head(), timeout_s=30)
            assert (answer.reason, answer.data.total) == (None, number + 1)
        await running.caught_up()
        await check_read_models(running)


@pytest.mark.timeout(600)
async def test_twelve_writers_through_a_pooler_lose_and_double_nothing(
    pooled: str, tmp_path: Path, amount: Callable[..., int]
) -> None:
    with under_load(pooled, tmp_path) as load:
        await load.more_answered(amount(short=200, long=5_000))

        await check(load, pooled)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
