"""Notifications that don't come, are cut off or are forbidden: whoever waits finds out by asking."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from statistics import median
from time import monotonic

import pytest
from tests.clusters import Cluster
from tests.faults.test_cancellation import place

from diptych.app import Running
from orders.app import app
from orders.messages import OrderById

pytestmark = pytest.mark.timeout(600)
POLLS_MS = 150  # of the log by the runner, and of the checkpoint by who waits
BESIDE_OTHERS_MS = 500  # the same where other tests take the processor
CUT_EVERY_S = 1.0


async def seen_elsewhere(one: Running, other: Running, times: int) -> list[float]:
    """Seconds from each command's answer until its row is seen by another process, alternating who writes."""
    took = list[float]()
    for number in range(times):
        writes, reads = (one, other) if number % 2 else (other, one)
        id = f"o-{monotonic()}"
        await place(writes, id)
        head, began = await writes.event_store.head(), monotonic()
        answer = await reads.ask(OrderById(order_id=id), position=head, timeout_s=60)
        took.append(monotonic() - began)
        assert (answer.stale, answer.data.order_id) == (False, id)
    return took


async def test_nothing_is_stuck_while_listeners_are_cut_off_again_and_again(
    cluster: Cluster, amount: Callable[..., int]
) -> None:
    async with app.open(cluster.url(), cluster.url()) as one, app.open(cluster.url(), cluster.url()) as other:
        await one.caught_up()
        async with cutting(cluster) as cuts:
            took = list[float]()
            while len(cuts) < amount(short=3, long=30):
                took += await seen_elsewhere(one, other, 10)

    assert any(cuts), "nobody was listening"
    assert median(took) * 1000 <= amount(short=BESIDE_OTHERS_MS, long=POLLS_MS)
    assert max(took) <= 10


@asynccontextmanager
async def cutting(cluster: Cluster) -> AsyncIterator[list[int]]:
    """Kill every connection that listens, once a second; how many each time."""
    cuts = list[int]()
    # What a connection did last: one that listens does nothing else afterwards.
    kill = (
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE state = 'idle' AND query ILIKE 'LISTEN %'"
    )

    async def cut() -> None:
        while True:
            cuts.append(int(await asyncio.to_thread(cluster.psql, kill)))
            await asyncio.sleep(CUT_EVERY_S)

    task = asyncio.create_task(cut())
    try:
        yield cuts
    finally:
        task.cancel()
        await asyncio.wait([task])


async def test_where_nobody_may_notify_answers_come_within_the_poll(
    cluster: Cluster, amount: Callable[..., int], caplog: pytest.LogCaptureFixture
) -> None:
    cluster.psql("CREATE ROLE quiet LOGIN; GRANT CREATE ON SCHEMA public TO quiet")
    cluster.psql("REVOKE EXECUTE ON FUNCTION pg_notify(text, text) FROM PUBLIC")
    url = cluster.url(user="quiet")
    async with app.open(url, url) as one, app.open(url, url) as other:
        await one.caught_up()
        took = await seen_elsewhere(one, other, amount(short=30, long=1_000))

    assert "find out by asking: permission denied for function pg_notify" in caplog.text
    assert median(took) * 1000 <= amount(short=BESIDE_OTHERS_MS, long=POLLS_MS)
    assert max(took) <= 10
