"""What others do to the server, and to the way there, while twelve writers append and one reader tails."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import asyncpg
import pytest
from tests.clusters import Cluster
from tests.faults.postgres.foreigners import CALL, foreign
from tests.faults.postgres.load import check, under_load
from tests.faults.postgres.proxy import proxy_before

from diptych import Overloaded
from diptych.store.port import Append
from diptych.store.postgres import Limits, open_postgres
from diptych.store.postgres.batch import lists
from diptych.testing.conformance.case import an_append, event, everything, to

pytestmark = pytest.mark.timeout(600)


def tallied(number: int) -> Append:
    """An append of somebody else's, readable for who checks the load."""
    payload = b'{"name":"foreign","number":%d}' % number
    return an_append(to(f"Foreign-{number}", event("Tallied", payload=payload), category="Shared"))


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
async def test_a_foreign_call_that_sleeps_under_load_stops_no_reader_and_nothing_is_skipped(
    cluster: Cluster, tmp_path: Path, amount: Callable[..., int], end: str
) -> None:
    """It holds the order lock meanwhile, at a position that no one else may be given."""
    with under_load(cluster.url(), tmp_path) as load:
        async with open_postgres(cluster.url()) as store, foreign(cluster) as other:
            for number in range(amount(short=1, long=3)):
                await load.more_answered(200)
                await other.execute("BEGIN")
                await other.fetch(CALL, False, 60_000, *lists([tallied(number)]))
                sleeping = asyncio.create_task(other.execute(f"SELECT pg_sleep({amount(short=2, long=10)})"))
                async with asyncio.timeout(2):
                    await store.read(await store.head() - 1, limit=10)
                await sleeping
                await other.execute(end)
        await load.more_answered(200)

        await check(load, cluster.url())


async def test_transactions_left_open_elsewhere_under_load_hold_nobody_up(
    cluster: Cluster, tmp_path: Path, amount: Callable[..., int]
) -> None:
    cluster.psql("CREATE DATABASE elsewhere")
    with under_load(cluster.url(), tmp_path) as load:
        async with foreign(cluster, "elsewhere") as idle, foreign(cluster) as preparing:
            await leave_open(idle, preparing)
            await load.more_answered(amount(short=500, long=5_000))
            await load.reader_saw(max(int(answer[-1]) for answer in load.answers() if answer[-1].isdigit()))
            await preparing.execute("ROLLBACK PREPARED 'forgotten'")

        await check(load, cluster.url())


async def leave_open(idle: asyncpg.Connection, preparing: asyncpg.Connection) -> None:
    """A transaction that has written and does nothing more, and one that was prepared and forgotten."""
    await idle.execute("CREATE TABLE t (a integer)")
    await idle.execute("BEGIN; INSERT INTO t VALUES (1)")
    await preparing.execute("CREATE TABLE u (a integer)")
    await preparing.execute("BEGIN; INSERT INTO u VALUES (1); PREPARE TRANSACTION 'forgotten'")


async def test_a_way_that_swallows_everything_for_a_while_loses_and_doubles_nothing(
    cluster: Cluster, tmp_path: Path, amount: Callable[..., int]
) -> None:
    async with proxy_before(cluster.port) as proxy:
        with under_load(cluster.url(port=proxy.port), tmp_path) as load:
            await load.more_answered(200)
            proxy.swallows = True
            await asyncio.sleep(amount(short=2, long=20))  # so long the fault lasts
            proxy.swallows = False
            await load.more_answered(200)

            await check(load, cluster.url())


async def test_more_than_may_wait_is_turned_away_at_once(cluster: Cluster) -> None:
    async with open_postgres(cluster.url(), Limits(queue_appends=3)) as store, foreign(cluster) as other:
        async with other.transaction():
            await other.fetch(CALL, False, 1000, *lists([an_append(to("Order-0"))]))
            waiting = [asyncio.create_task(store.append(an_append(to(f"Order-{number}")))) for number in (1, 2, 3)]
            await asyncio.sleep(0)
            with pytest.raises(Overloaded):
                await store.append(an_append(to("Order-4")))

        await asyncio.gather(*waiting)
        assert {each.stream for each in await everything(store)} == {"Order-0", "Order-1", "Order-2", "Order-3"}
