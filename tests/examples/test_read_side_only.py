"""A process without a log, one without a runner, and several that share everything."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.clusters import Cluster
from tests.examples.orders_client import ORDER, Orders
from tests.serving import Served

from diptych import ConsistentQueryHandler, LogRewound, ReadSideOnly, Token, log_restored
from diptych.fastapi import api
from diptych.read.books import absent
from orders.app import ROUTES, app
from orders.messages import OrderById, PlaceOrder, SearchOrders
from orders.values import Address, Line

WAIT_S = 30.0
LINE = Line(product_id="11", quantity=1, price=Decimal("14.00"))


@pytest.fixture(params=["sqlite", "postgres"])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, str]:
    """Where the log and the read models are."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres")(18)
        return url, url
    return f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/read.db"


@asynccontextmanager
async def served(log: str, read: str, *, runner: bool = True, wait_s: float = WAIT_S) -> AsyncIterator[Orders]:
    """A client of a process of its own, as far as databases can tell."""
    http = api(app, ROUTES, log=log, read=read, wait_s=wait_s, runner=runner, cookie=True)
    transport = httpx.ASGITransport(http, raise_app_exceptions=False)
    async with http.router.lifespan_context(http), Orders(transport=transport, base_url="http://orders") as client:
        yield client


def place(id: str) -> PlaceOrder:
    return PlaceOrder(order_id=id, customer_id="c", items=(LINE,), shipping_address=Address())


async def test_a_process_without_a_log_answers_queries_and_waits_for_positions(urls: tuple[str, str]) -> None:
    log, read = urls
    async with served(log, read) as whole, served("none", read) as reading:
        for number in range(5):
            placed = await whole.place(order_id=f"o-{number}")
            token = placed.headers["Diptych-Position"]
            found = await reading.get(f"/orders/o-{number}", headers={"Diptych-Position": token})

            assert (found.status_code, found.json()["order_id"]) == (200, f"o-{number}")
            assert "Diptych-Stale" not in found.headers
            assert "ETag" in found.headers
            again = await whole.get("/orders/search", headers={"Diptych-Position": found.headers["Diptych-Position"]})
            assert again.json()["total"] == number + 1


async def test_a_process_without_a_log_says_that_it_could_not_wait_long_enough(urls: tuple[str, str]) -> None:
    log, read = urls
    async with served(log, read) as whole, served("none", read, wait_s=0.05) as reading:
        placed = Token.decode((await whole.place(order_id="o")).headers["Diptych-Position"])
        later = Token(placed.position + 1_000, "", placed.log_id, placed.incarnation).encode()
        await whole.get("/orders/o", headers={"Diptych-Position": placed.encode()})
        found = await reading.get("/orders/o", headers={"Diptych-Position": later})
        missing = await reading.get("/orders/nobody", headers={"Diptych-Position": later})

        assert (found.status_code, found.headers["Diptych-Stale"]) == (200, "timeout")
        assert missing.status_code == 503


async def test_a_process_without_a_log_refuses_commands_by_name(urls: tuple[str, str]) -> None:
    log, read = urls
    async with served(log, read) as whole, served("none", read) as reading:
        await whole.place(order_id="o")
        answers = [
            await reading.place(order_id="o-2"),
            await reading.post("/orders", json={**ORDER, "order_id": "o-2"}, headers={"Prefer": "respond-async"}),
            await reading.delete("/orders/o"),
        ]

        assert [answer.status_code for answer in answers] == [405, 405, 405]
        assert [answer.headers["Allow"] for answer in answers] == ["", "", "GET, HEAD"]
        assert answers[0].headers["content-type"] == "application/problem+json"
        problem = answers[0].json()
        assert (problem["type"], problem["what"]) == ("urn:diptych:problem:read-side-only", "PlaceOrder")
        assert "ask a process that has a log" in problem["detail"]
        assert (await whole.get("/orders/search")).json()["total"] == 1


async def test_a_process_without_a_log_is_ready_once_something_is_served(urls: tuple[str, str]) -> None:
    log, read = urls
    async with served("none", read) as reading:
        early = await reading.get("/readyz")
        assert (early.status_code, early.json()["detail"]) == (503, "being built: orders, history, sales_by_day")
        async with served(log, read) as whole:
            placed = await whole.place(order_id="o")
            found = await reading.get("/orders/o", headers={"Diptych-Position": placed.headers["Diptych-Position"]})
            assert found.status_code == 200
        ready = await reading.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_a_process_without_a_log_knows_whose_positions_it_can_wait_for(urls: tuple[str, str]) -> None:
    log, read = urls
    async with app.open(log, read) as whole, app.open("none", read) as reading:
        receipt = await whole.execute(place("o"))
        answer = await reading.ask(OrderById(order_id="o"), after=receipt.token, timeout_s=WAIT_S)
        assert (answer.stale, answer.data.order_id) == (False, "o")
        assert (await whole.ask(SearchOrders(), after=answer.token)).data.total == 1
        for log_id, incarnation in (("elsewhere", 1), (whole.event_store.identity.log_id, 2)):
            with pytest.raises(LogRewound, match="given by another log"):
                await reading.ask(SearchOrders(), after=Token(1, "", log_id, incarnation))


async def test_a_process_without_a_log_learns_at_once_that_it_was_restored(
    urls: tuple[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(absent, "LOOK_EVERY_S", 3_600)
    log, read = urls
    async with app.open(log, read) as whole:
        before = (await whole.execute(place("o"))).token
        await whole.caught_up()
    async with app.open("none", read) as reading:
        await reading.ask(SearchOrders(), after=before)
        await log_restored(log, read)
        async with app.open(log, read) as whole:
            after = (await whole.execute(place("o-2"))).token
            answer = await reading.ask(SearchOrders(), after=after, timeout_s=WAIT_S)

        assert (answer.stale, answer.data.total) == (False, 2)
        with pytest.raises(LogRewound, match="before this one was restored"):
            await reading.ask(SearchOrders(), after=before)


async def test_what_needs_the_log_is_refused_without_one(urls: tuple[str, str]) -> None:
    async with app.open("none", urls[1]) as reading:
        needs: list[Any] = [
            reading.dispatch(place("o")),
            reading.execute(place("o")),
            reading.event_store.read_all(),
            reading.event_store.position_of("Order-o", 1),
            ConsistentQueryHandler(reading.queries, reading.event_store).query_after_command(SearchOrders(), 1, "o"),
        ]
        for each in needs:
            with pytest.raises(ReadSideOnly, match="needs the log, and this process has only the read side"):
                await each


async def test_a_standby_without_a_log_answers_with_what_it_was_waited_for(clusters: Callable[[int], Cluster]) -> None:
    primary = clusters(18)
    standby = primary.standby()
    try:
        standby.start()
        async with app.open(primary.url(), primary.url()) as whole, app.open("none", standby.url()) as replica:
            for number in range(5):
                receipt = await whole.execute(place(f"o-{number}"))
                answer = await replica.ask(OrderById(order_id=f"o-{number}"), after=receipt.token, timeout_s=WAIT_S)
                assert (answer.stale, answer.data.order_id) == (False, f"o-{number}")
    finally:
        standby.remove()


async def test_a_process_without_a_runner_leaves_the_read_models_to_others(urls: tuple[str, str]) -> None:
    log, read = urls
    async with served(log, read, runner=False, wait_s=0.1) as serving:
        alone = await serving.place(order_id="o")
        assert (await serving.get("/readyz")).status_code == 503
        token = {"Diptych-Position": alone.headers["Diptych-Position"]}
        assert (await serving.get("/orders/o", headers=token)).status_code == 503
        async with app.open(log, read) as worker:
            await worker.caught_up()
            assert (await serving.get("/readyz")).status_code == 200
            assert (await serving.get("/orders/o", headers=token)).status_code == 200


@pytest.mark.parametrize(("urls", "without_runner"), [("sqlite", False), ("postgres", True)], indirect=["urls"])
def test_several_workers_of_uvicorn_serve_one_application(
    urls: tuple[str, str], serve: Callable[..., Served], *, without_runner: bool
) -> None:
    """With a runner in each, or none in any and one in a process beside them."""
    databases = {"DIPTYCH_LOG_URL": urls[0], "DIPTYCH_READ_URL": urls[1]}
    uvicorn = ("-m", "uvicorn", "orders.app:http", "--workers", "2", "--port", "{port}", "--log-level", "warning")
    worker = serve("-m", "orders", **databases) if without_runner else None
    server = serve(*uvicorn, **databases, DIPTYCH_RUNNER="off" if without_runner else "on")
    with httpx.Client(base_url=server.url) as client:
        for number in range(30):
            order = {"order_id": f"o-{number}", **ORDER}
            with httpx.Client(base_url=server.url) as another:  # a connection each, so that both have their share
                placed = another.post("/orders", json=order)
            assert placed.status_code == 201, placed.text
            found = client.get(f"/orders/o-{number}", headers={"Diptych-Position": placed.headers["Diptych-Position"]})
            assert (found.status_code, found.headers.get("Diptych-Stale")) == (200, None)
        assert client.get("/orders/search").json()["total"] == 30
    assert server.terminate() == 0
    assert worker is None or worker.terminate() == 0
