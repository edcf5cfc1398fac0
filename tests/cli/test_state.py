"""The state of a thing and of a row, now and then, as a person and as a program see it."""

import asyncio
from datetime import date

import pytest
from tests.cli.calling import APP, lines, refused, told
from tests.cli.numbered import Raised
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


def test_a_row_is_found_by_a_key_that_is_a_number(log: list[str]) -> None:
    numbered = ["--app", "tests.cli.numbered:app", "--projection", "tickets", *log]
    asyncio.run(raised(log[1], 7, 7))

    assert lines("state", *numbered, "--key", "7") == [{"number": 7, "times": 2}]
    assert lines("state", "Ticket-7", *numbered) == [{"number": 7, "times": 2}]
    assert lines("state", *numbered, "--key", "7", "--diff", "4", "5") == [{"times": [1, 2]}]
    for key in ("8", "x", str(2**70)):
        assert isinstance(refused("state", *numbered, "--key", key), NotFound)


async def raised(url: str, *numbers: int) -> None:
    async with open_store(url, [Raised]) as event_store:
        for number in numbers:
            await event_store.append_events(
                stream_id=f"Ticket-{number}", stream_type="Ticket", events=[Raised(number=number)]
            )


def test_nothing_at_either_place_is_told(log: list[str]) -> None:
    row = ["--projection", "orders", "--key", "z"]

    assert "is at neither place, 1 nor 2" in str(refused("state", *APP, *log, *row, "--diff", "1", "2"))
    assert isinstance(refused("state", "Order-a", *APP, *log, "--diff", "0", "2020-01-01"), NotFound)


def test_eight_digits_that_are_a_day_are_refused(log: list[str]) -> None:
    assert "write 2020-01-01 for the day, 020200101 for the position" in said("20200101", log)
    assert lines("state", "Order-a", *APP, *log, "--at", "020200101")[0]["version"] == 2
    assert lines("state", "Order-a", *APP, *log, "--at", "20209999")[0]["version"] == 2
    assert "is no place in a log" in said("9" * 5000, log)


def said(at: str, log: list[str]) -> str:
    return " ".join(told("state", "Order-a", *APP, *log, "--at", at, code=2).replace("│", " ").split())


def test_a_time_before_all_dates_is_no_place(log: list[str]) -> None:
    assert "is no place in a log" in told("state", "Order-a", *APP, *log, "--at", "999999w", code=2)


def test_what_is_not_there_is_told(log: list[str]) -> None:
    assert isinstance(refused("state", "Order-b", *APP, *log), NotFound)
    assert isinstance(refused("state", "Return-a", *APP, *log), Misuse)
    assert isinstance(refused("state", "Order-a", *APP, *log, "--projection", "nothing"), NoProjection)
    assert isinstance(refused("state", *APP, *log, "--projection", "orders", "--key", "z"), NotFound)
    assert "name a STREAM" in told("state", *APP, *log, code=2)


async def test_nothing_is_written(log: list[str]) -> None:
    async with open_store(log[1], ()) as event_store:
        assert await event_store.head() == 3
