"""A log that was dumped and put back, a stale standby that was promoted, a standby that answers queries."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.clusters import Cluster
from tests.faults.checks import check_read_models
from tests.faults.postgres.proxy import proxy_before
from tests.faults.tallies import Tallied
from tests.faults.test_cancellation import place
from tests.faults.waiting import until

from diptych import Catalogue, Codec, EventStore, LogRewound, Unavailable, log_adopt, log_restored
from diptych.app import Running
from diptych.store.postgres import open_postgres
from orders.app import app
from orders.messages import OrderById, SearchOrders

pytestmark = pytest.mark.timeout(600)
NAMES = {"orders", "history", "sales_by_day"}


@pytest.fixture
def others() -> Iterator[list[Cluster]]:
    """Servers that are removed in the end."""
    clusters: list[Cluster] = []
    yield clusters
    for cluster in clusters:
        cluster.remove()


async def fill(log: str, read: str, *ids: str) -> str:
    """Place orders and let the read models follow; a token for the last."""
    async with app.open(log, read) as running:
        for id in ids:
            await place(running, id)
        await running.caught_up()
        return (await running.ask(SearchOrders())).token


async def ids_in(running: Running) -> set[str]:
    return {order.order_id for order in (await running.ask(SearchOrders(), timeout_s=30)).data.items}


async def test_a_dump_that_is_restored_into_a_new_server_is_the_same_log(
    cluster: Cluster, others: list[Cluster]
) -> None:
    token = await fill(cluster.url(), cluster.url(), "a", "b", "c")
    dump = cluster.folder / "dump"
    cluster.run("pg_dump", "-Fc", "-f", dump, cluster.url())
    others.append(new := Cluster(cluster.version))
    new.make()
    new.start()
    new.run("pg_restore", "-d", new.url(), dump)

    async with app.open(cluster.url(), cluster.url()) as old, app.open(new.url(), new.url()) as restored:
        before = await old.event_store.read_all()
        assert await restored.event_store.read_all() == before
        assert restored.event_store.identity == old.event_store.identity
        await place(restored, "new")
        await restored.caught_up()
        await check_read_models(restored)
        assert (await restored.event_store.read_all())[:-1] == before
        assert await ids_in(restored) == {"a", "b", "c", "new"}

    await log_adopt(new.url(), new.url())
    async with app.open(new.url(), new.url()) as adopted:
        assert adopted.event_store.identity.log_id != old.event_store.identity.log_id
        await adopted.caught_up()
        with pytest.raises(LogRewound, match="another log"):
            await adopted.ask(SearchOrders(), after=token)
    async with app.open(new.url(), cluster.url()) as mixed:  # the read models of the other one
        with pytest.raises(Unavailable, match="another log"):
            await mixed.caught_up(10)


async def test_a_stale_standby_that_is_promoted_is_noticed_by_name_and_mended(
    cluster: Cluster, others: list[Cluster], tmp_path: Path
) -> None:
    read = f"sqlite:///{tmp_path}/read.db"
    await fill(cluster.url(), read, "a", "b")
    others.append(standby := cluster.standby())
    standby.start()
    standby.stop()
    late = await fill(cluster.url(), read, "c", "d")
    cluster.crash()
    standby.start()
    standby.run("pg_ctl", "promote", "-D", standby.data, "-w")

    async with app.open(standby.url(), read) as running:
        await place(running, "new")
        with pytest.raises(Unavailable, match=r"log_restored .*and rebuild the projection"):
            await running.caught_up(10)
        assert (await running.ask(SearchOrders())).reason == "rewound"

    mended = await log_restored(standby.url(), read)
    assert {of.projection for of in mended.to_rebuild} == NAMES
    async with app.open(standby.url(), read) as running:
        with pytest.raises(LogRewound, match="before this one was restored"):
            await running.ask(SearchOrders(), after=late)
        for name in NAMES:
            await running.synchronizer.rebuild_projection(name)
        await running.caught_up()
        await check_read_models(running)
        assert await ids_in(running) == {"a", "b", "new"}


async def test_a_fail_over_to_a_stale_standby_under_a_running_program_is_noticed(
    cluster: Cluster, others: list[Cluster], tmp_path: Path
) -> None:
    """No follower goes on as if nothing had happened, though the new server's positions grow into its checkpoint."""
    async with proxy_before(cluster.port) as proxy:
        log, read = cluster.url(port=proxy.port), f"sqlite:///{tmp_path}/read.db"
        async with app.open(log, read) as running:
            await place(running, "a")
            others.append(standby := cluster.standby())
            standby.start()
            standby.stop()
            for id in ("b", "c", "d"):
                await place(running, id)
            await running.caught_up()
            cluster.crash()
            standby.start()
            standby.run("pg_ctl", "promote", "-D", standby.data, "-w")
            proxy.leads_to = standby.port

            for number in range(5):
                await place(running, f"new-{number}")

            async with asyncio.timeout(60):
                while {status.state for status in await running.synchronizer.status()} != {"rewound"}:
                    await asyncio.sleep(0.05)
            assert (await running.ask(SearchOrders())).reason == "rewound"


async def test_a_standby_that_is_switched_to_before_it_is_promoted_is_waited_for(
    cluster: Cluster, others: list[Cluster], tmp_path: Path
) -> None:
    """It answers, and says that it recovers: that passes, so it is away and nothing is wrong with an event."""
    async with proxy_before(cluster.port) as proxy:
        log, read = cluster.url(port=proxy.port), f"sqlite:///{tmp_path}/read.db"
        async with app.open(log, read) as running:
            await place(running, "a")
            await running.caught_up()
            others.append(standby := cluster.standby())
            standby.start()
            proxy.leads_to = standby.port
            cluster.crash()
            followers = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'diptych-log'"
            await until(lambda: int(standby.psql(followers)) > 0, "nobody has come to the standby")
            with pytest.raises(Unavailable):
                await running.event_store.head()
            standby.run("pg_ctl", "promote", "-D", standby.data, "-w")

            await place(running, "new")
            await running.caught_up(60)
            assert await ids_in(running) == {"a", "new"}


@pytest.mark.parametrize("wanted", [(), ("S",)], ids=["all", "what is filtered"])
async def test_a_subscription_is_told_of_a_fail_over_to_a_stale_standby(
    cluster: Cluster, others: list[Cluster], wanted: tuple[str, ...]
) -> None:
    """It is behind nothing any more: what the new server appends would come to it from the middle on."""
    async with proxy_before(cluster.port) as proxy, open_postgres(cluster.url(port=proxy.port)) as store:
        event_store = EventStore(store, Codec(Catalogue([Tallied])))
        await tallied(event_store, 1)
        others.append(standby := cluster.standby())
        standby.start()
        standby.stop()
        for number in (2, 3):
            await tallied(event_store, number)
        if wanted:  # what lies behind the last that it wants
            await tallied(event_store, 0, "Other")
        subscription = event_store.subscribe(stream_types=wanted)
        seen = [(await anext(subscription)).data.number for _ in range(3)]
        going_on = asyncio.ensure_future(anext(subscription))
        await until(lambda: bool(store._watcher._waiters), "it has not come to the end")
        cluster.crash()
        standby.start()
        standby.run("pg_ctl", "promote", "-D", standby.data, "-w")
        proxy.leads_to = standby.port
        for number in range(4, 9):
            await tallied(event_store, number)

        with pytest.raises(LogRewound, match=f"subscription at position {4 if wanted else 3}.*gone back behind it"):
            async with asyncio.timeout(60):
                await asyncio.shield(going_on)
        assert seen == [1, 2, 3]


async def tallied(event_store: EventStore, number: int, category: str = "S") -> None:
    events = [Tallied(name="x", number=number)]
    await event_store.append_events(stream_id=f"{category}-1", stream_type=category, events=events)


async def test_a_standby_that_answers_queries_never_hides_that_it_lags(
    cluster: Cluster, others: list[Cluster], amount: Callable[..., int]
) -> None:
    await fill(cluster.url(), cluster.url(), "a")
    others.append(standby := cluster.standby())
    standby.start()
    async with app.open(cluster.url(), cluster.url()) as primary, app.open(cluster.url(), standby.url()) as replica:
        for number in range(amount(short=1, long=3)):
            standby.psql("SELECT pg_wal_replay_pause()")
            receipt = await place_and_tell(primary, f"late-{number}")
            answer = await replica.ask(SearchOrders(), position=receipt, timeout_s=amount(short=1, long=10))
            assert (answer.stale, answer.reason) == (True, "timeout")
            with pytest.raises(Unavailable):  # nobody says that it is missing
                await replica.ask(OrderById(order_id=f"late-{number}"), position=receipt, timeout_s=0.2)

            waiting = asyncio.create_task(
                replica.ask(OrderById(order_id=f"late-{number}"), position=receipt, timeout_s=60)
            )
            standby.psql("SELECT pg_wal_replay_resume()")
            answer_in_time = await waiting
            assert (answer_in_time.reason, answer_in_time.data.order_id) == (None, f"late-{number}")


async def place_and_tell(running: Running, id: str) -> int:
    await place(running, id)
    return await running.event_store.head()
