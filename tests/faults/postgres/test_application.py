"""The Orders application on a server that comes and goes: bounded answers, and all right by itself afterwards."""

import asyncio
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.clusters import Cluster
from tests.examples.orders_client import Orders
from tests.faults.checks import check_read_models
from tests.faults.shoppers import Shop

from diptych.fastapi import api
from orders.app import ROUTES, app

pytestmark = pytest.mark.timeout(600)
ANSWERED_WITHIN_S = 40.0


@pytest.mark.parametrize("elsewhere", [False, True], ids=["in one database", "read models in a file"])
async def test_shoppers_notice_no_crash_of_the_server(
    cluster: Cluster, tmp_path: Path, amount: Callable[..., int], elsewhere: bool
) -> None:
    read = f"sqlite:///{tmp_path}/read.db" if elsewhere else cluster.url()
    http = api(app, ROUTES, log=cluster.url(), read=read)
    shoppers = Shop("http://orders", transport=httpx.ASGITransport(http))
    async with http.router.lifespan_context(http), shoppers.open(shoppers=6) as shop:
        for _ in range(amount(short=2, long=10)):
            await shop.more_accepted(60)
            await asyncio.to_thread(cluster.crash)
            await shop.more_asked_again(3)
            await asyncio.to_thread(cluster.start)
        await shop.more_accepted(60)

    assert shop.asked_again
    async with app.open(cluster.url(), read) as running:
        await running.caught_up(60)
        await check_read_models(running)
        streams: dict[str, list[str]] = defaultdict(list)
        for event in await running.event_store.read_all(limit=1_000_000):
            streams[event.stream_id].append(event.event_type)
    assert streams == {stream: types for stream, types in shop.streams.items() if types}


async def test_every_call_ends_in_bounded_time_while_the_server_is_away(cluster: Cluster) -> None:
    http = api(app, ROUTES, log=cluster.url(), read=cluster.url())
    transport = httpx.ASGITransport(http, raise_app_exceptions=False)
    async with http.router.lifespan_context(http), Orders(transport=transport, base_url="http://orders") as orders:
        placed = await orders.place(order_id="a")
        await read_patiently(orders, "/orders/a", placed)  # so its read models are served
        cluster.stop()
        async with asyncio.timeout(ANSWERED_WITHIN_S):
            answers = [
                await orders.place(order_id="b"),
                await orders.get("/orders/a"),
                await orders.get("/orders/search?q=lamp"),
            ]
        assert [answer.status_code for answer in answers] == [503, 503, 503]
        assert {answer.headers["Content-Type"] for answer in answers} == {"application/problem+json"}

        cluster.start()
        again = await orders.place(order_id="b")
        assert (await read_patiently(orders, "/orders/a", placed))["status"] == "pending"
        assert (await read_patiently(orders, "/orders/b", again))["status"] == "pending"


async def read_patiently(orders: Orders, path: str, after: httpx.Response) -> Any:
    """What is there no earlier than an answer, as soon as it can be read."""
    headers = {"Diptych-Position": after.headers["Diptych-Position"]}
    async with asyncio.timeout(60):
        while (answer := await orders.get(path, headers=headers)).status_code != 200:
            await asyncio.sleep(0.05)
    return answer.json()
