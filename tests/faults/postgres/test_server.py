"""The server crashes, restarts and cuts connections while twelve writers append and one reader tails."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.clusters import Cluster
from tests.faults.postgres.load import check, under_load

pytestmark = pytest.mark.timeout(600)


async def test_a_server_that_crashes_again_and_again_loses_nothing_that_was_answered(
    cluster: Cluster, tmp_path: Path, amount: Callable[..., int]
) -> None:
    with under_load(cluster.url(), tmp_path) as load:
        for _ in range(amount(short=2, long=10)):
            await load.more_answered(200)
            await asyncio.to_thread(cluster.crash)
            await asyncio.to_thread(cluster.start)
        await load.more_answered(200)

        await check(load, cluster.url())


async def test_a_backend_that_is_killed_restarts_the_server_and_loses_nothing(
    cluster: Cluster, tmp_path: Path, amount: Callable[..., int]
) -> None:
    with under_load(cluster.url(), tmp_path) as load:
        for _ in range(amount(short=1, long=10)):
            await load.more_answered(200)
            await asyncio.to_thread(cluster.kill_a_backend)
            await asyncio.to_thread(cluster.wait_until_ready)
        await load.more_answered(200)

        await check(load, cluster.url())


async def test_connections_that_are_cut_again_and_again_hold_nobody_up(
    cluster: Cluster, tmp_path: Path, amount: Callable[..., int]
) -> None:
    with under_load(cluster.url(), tmp_path) as load:
        for _ in range(amount(short=3, long=30)):
            await load.more_answered(200)
            await asyncio.to_thread(
                cluster.psql,
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'diptych-log'",
            )
        await load.more_answered(200)

        await check(load, cluster.url())


async def test_a_writer_that_is_stopped_in_the_middle_holds_nobody_up(
    cluster: Cluster, tmp_path: Path, amount: Callable[..., int]
) -> None:
    with under_load(cluster.url(), tmp_path) as load:
        for _ in range(amount(short=3, long=20)):
            await load.more_answered(50)
            load.pause(0)
            await load.more_answered(300)
            load.go_on(0)
        await load.more_answered(200)

        await check(load, cluster.url())
