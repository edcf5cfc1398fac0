"""Hostile requests are answered safely or refused as problems, at once, and alike on both backends."""

import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.examples.hostile import Hostile, hostile_requests
from tests.examples.orders_client import LAMP, TABLE, Orders
from tests.serving import serving

from diptych.fastapi import api
from orders.app import ROUTES, app

SOON_S = 1.0


@pytest.fixture
def urls(postgres: Callable[[int], str], tmp_path: Path) -> dict[str, tuple[str, str]]:
    """Where log and read models are, by backend."""
    one = postgres(18)
    return {"sqlite": (f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/read.db"), "postgres": (one, one)}


@asynccontextmanager
async def shop(log: str, read: str) -> AsyncIterator[Orders]:
    http = api(app, ROUTES, log=log, read=read, wait_s=0.2, cookie=True)
    async with serving(http) as url, Orders(base_url=url, timeout=60) as orders:
        orders.settled = http.state.diptych.caught_up
        for number, item in enumerate([LAMP, TABLE, LAMP]):
            placed = await orders.place(order_id=f"o-{number}", items=[item], ordered_on="2026-01-01")
            assert placed.status_code == 201
        await orders.settled()
        yield orders


async def test_hostile_requests_are_answered_safely_at_once_and_alike(urls: dict[str, tuple[str, str]]) -> None:
    asked = hostile_requests()
    assert len(asked) >= 300

    answers = {backend: await answers_of(asked, *where) for backend, where in urls.items()}

    assert [
        (request, one, other)
        for request, one, other in zip(asked, answers["sqlite"], answers["postgres"], strict=True)
        if one != other
    ] == []


async def answers_of(asked: list[Hostile], log: str, read: str) -> list[Any]:
    async with shop(log, read) as orders:
        answers = [await answer_of(orders, request) for request in asked]
        left = await orders.get("/orders/search", params={"sort_by": "customer_id"})
    assert left.json()["total"] == 3
    return [*answers]


async def answer_of(orders: Orders, request: Hostile, *, tries: int = 3) -> Any:
    """What was answered, without what differs from run to run."""
    orders.cookies.clear()
    raw = isinstance(request.body, bytes)
    body = request.body if raw or request.body is None else json.dumps(request.body).encode()
    kind = {"Content-Type": "application/json"} if body is not None else {}
    began = time.perf_counter()
    answer = await orders.request(request.method, request.url, content=body, headers={**kind, **request.headers})
    took_s = time.perf_counter() - began
    if took_s >= SOON_S and tries > 1:  # a machine that is busy with something else may be slow once
        return await answer_of(orders, request, tries=tries - 1)
    assert took_s < SOON_S, (request, took_s)
    assert answer.status_code < 500, (request, answer.text)
    assert "X-Evil" not in answer.headers
    if answer.status_code < 300 and request.method != "GET":
        await orders.settled()  # what was changed is seen by what is asked next, on both
    if answer.status_code >= 400:
        assert answer.headers["Content-Type"] == "application/problem+json", (request, answer.text)
    return answer.status_code, told(answer.json() if answer.content else None)


def told(answer: Any) -> Any:
    if isinstance(answer, dict):
        return {name: told(value) for name, value in answer.items() if name not in {"created_at", "next_cursor"}}
    return [told(each) for each in answer] if isinstance(answer, list) else answer


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
async def test_what_looks_like_a_statement_is_no_more_than_a_text(
    backend: str, urls: dict[str, tuple[str, str]]
) -> None:
    async with shop(*urls[backend]) as orders:
        for text, found in (
            ("lamp", 2),
            ('"steel lamp"', 2),
            ("lamp OR table", 0),
            ("customer_id:ada", 0),
            ("lamp' OR '1'='1", 0),
            ("*", 0),
            ("la", 2),
        ):
            assert (await orders.get("/orders/search", params={"q": text})).json()["total"] == found, text
        for status in ("pending", "shipped"):
            whole = (await orders.get("/orders/search", params={"status": status, "customer_id": "' OR 1=1"})).json()
            assert whole["total"] == 0


@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
async def test_a_cursor_that_was_changed_is_refused(backend: str, urls: dict[str, tuple[str, str]]) -> None:
    async with shop(*urls[backend]) as orders:
        first = (await orders.get("/orders/search", params={"page_size": 1})).json()["next_cursor"]
        assert (await orders.get("/orders/search", params={"page_size": 1, "cursor": first})).status_code == 200
        for place in range(0, len(first), 3):
            changed = first[:place] + ("A" if first[place] != "A" else "B") + first[place + 1 :]
            refused = await orders.get("/orders/search", params={"page_size": 1, "cursor": changed})
            assert refused.status_code == 400, (place, refused.text)
        other = await orders.get("/orders/search", params={"page_size": 1, "cursor": first, "status": "pending"})
        assert other.status_code == 422
