"""An Idempotency-Key is done once, however many send it, and is its principal's own."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from tests.examples.orders_client import ORDER
from tests.serving import serving

from diptych.fastapi import api
from orders.app import ROUTES, app

AT_ONCE = 50


@pytest.fixture(params=["sqlite", "postgres"])
def urls(request: pytest.FixtureRequest, postgres: Callable[[int], str], tmp_path: Path) -> tuple[str, str]:
    """Where log and read models are."""
    if request.param == "postgres":
        one = postgres(18)
        return one, one
    return f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/read.db"


async def test_many_who_send_one_key_at_once_are_answered_alike_and_it_is_done_once(urls: tuple[str, str]) -> None:
    # Two servers on one log: what is in flight in one is not known to the other.
    one, other = (api(app, ROUTES, log=urls[0], read=urls[1]) for _ in range(2))
    async with serving(one) as first, serving(other) as second, httpx.AsyncClient(timeout=60) as client:
        answers = await asyncio.gather(
            *(
                client.post(f"{(first, second)[number % 2]}/orders", json=ORDER, headers={"Idempotency-Key": "k"})
                for number in range(AT_ONCE)
            )
        )
        stored = await one.state.diptych.event_store.read_all()

    told = {
        (each.status_code, each.text, *(each.headers[name] for name in ("ETag", "Location", "Diptych-Position")))
        for each in answers
    }
    assert len(told) == 1
    assert answers[0].status_code == 201
    assert [event.event_type for event in stored] == ["OrderPlaced"]


async def test_a_stolen_key_gives_nothing_away(urls: tuple[str, str]) -> None:
    http = api(app, ROUTES, log=urls[0], read=urls[1], principal=lambda request: request.headers.get("X-User"))
    async with serving(http) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def place(user: str | None, **changes: object) -> httpx.Response:
            headers = {"Idempotency-Key": "k", **({"X-User": user} if user else {})}
            return await client.post("/orders", json={**ORDER, **changes}, headers=headers)

        ann = await place("ann", customer_id="ann")
        for thief in ("bea", None, "ann2", "anonymous"):
            stolen = await place(thief, customer_id="ann")
            status = await client.get("/commands/k", headers={"X-User": thief} if thief else {})
            assert (stolen.status_code, stolen.text == ann.text) == (201, False)
            assert status.json()["answer"] == stolen.json()
            assert ann.json()["order_id"] not in status.text
        assert (await place("ann", customer_id="ann")).text == ann.text
        assert (await place("ann", customer_id="other")).status_code == 422
