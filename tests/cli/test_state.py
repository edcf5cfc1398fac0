"""The state of a thing and of a row, now and then, as a person and as a program see it."""

import asyncio
from datetime import date

import pytest
from tests.cli.calling import APP, lines, refused, told
from tests.faults.test_cancellation import place

from diptych.errors import Misuse, NoProjection, NotFound
from diptych.log import open_store
from orders.app import app
from orders.events import OrderCancelled, OrderShipped


@pytest.fixture(autouse=True)
def shipped(urls: list[str]) -> None:
    """An order that was placed at position 1 and shipped at position 2, and another stream."""

    async def make() -> None:
        async with app.open(urls[1], urls[3]) as running:
            await place(running, "a")
            await running.event_store.append_events(
                stream_id="Order-a",
                stream_type="Order",
                events=[OrderShipped(order_id="a", shipped_on=date(2026, 1, 2))],
            )
            await running.event_store.append_events(
                stream_id="Return-a", stream_type="Return", events=[OrderCancelled(order_id="b", reason=None)]
            )

    asyncio.run(make())


def test_an_aggregate_is_shown_as_it_is_and_as_it_was(log: list[str]) -> None:
    (now,) = lines("state", "Order-a", *APP, *log)
    (then,) = lines("state", "Order-a", *APP, *log, "--at", "1")

    assert (now["id"], now["version"], now["status"]) == ("a", 2, "shipped")
    assert (then["id"], then["version"], then["status"]) == ("a", 1, "pending")
    assert "shipped" in told("state", "Order-a", *APP, *log)


def test_a_time_is_a_place_too(log: list[str]) -> None:
    assert lines("state", "Order-a", *APP, *log, "--at", "2999-01-01")[0]["version"] == 2
    for then in ("0", "2020-01-01"):
        not_yet = refused("state", "Order-a", *APP, *log, "--at", then)
        assert isinstance(not_yet, NotFound)
        assert f"stream 'Order-a' has no events yet at {then}: it began at position 1, 20" in str(not_yet)
    assert "is no place in a log" in told("state", "Order-a", *APP, *log, "--at", "soon", code=2)


def test_what_differs_between_two_places_is_told(log: list[str]) -> None:
    (found,) = lines("state", "Order-a", *APP, *log, "--diff", "1", "2")

    assert found == {"version": [1, 2], "status": ["pending", "shipped"]}
    assert lines("state", "Order-a", *APP, *log, "--diff", "2", "3") == [{}]
    assert lines("state", "Order-a", *APP, *log, "--diff", "0", "1")[0]["version"] == [None, 1]
    assert "nothing differs" in told("state", "Order-a", *APP, *log, "--diff", "2", "2")
    assert "at 1" in told("state", "Order-a", *APP, *log, "--diff", "1", "2")


def test_a_row_is_folded_from_a_stream_or_from_the_log(log: list[str]) -> None:
    (of_stream,) = lines("state", "Order-a", *APP, *log, "--projection", "orders")
    (of_log,) = lines("state", *APP, *log, "--projection", "orders", "--key", "a")
    (placed,) = lines("state", *APP, *log, "--projection", "orders", "--key", "a", "--at", "1")
    (changed,) = lines("state", "Order-a", *APP, *log, "--projection", "orders", "--diff", "1", "2")

    assert of_stream == of_log
    assert (of_log["status"], of_log["shipped_on"], placed["shipped_on"]) == ("shipped", "2026-01-02", None)
    assert changed == {"status": ["pending", "shipped"], "shipped_on": [None, "2026-01-02"], "version": [1, 2]}


def test_what_is_not_there_is_told(log: list[str]) -> None:
    assert isinstance(refused("state", "Order-b", *APP, *log), NotFound)
    assert isinstance(refused("state", "Return-a", *APP, *log), Misuse)
    assert isinstance(refused("state", "Order-a", *APP, *log, "--projection", "nothing"), NoProjection)
    assert isinstance(refused("state", *APP, *log, "--projection", "orders", "--key", "z"), NotFound)
    assert "name a STREAM" in told("state", *APP, *log, code=2)


async def test_nothing_is_written(log: list[str]) -> None:
    async with open_store(log[1], ()) as event_store:
        assert await event_store.head() == 3
