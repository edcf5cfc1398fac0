"""Who follows the log has its next page read while one is applied, and nothing is lost by it."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest

from diptych import EventStore, Unavailable, open_store
from diptych.read.follow.feed import Feed
from diptych.store.port import Page

from .colours import COLOURS, Counted, fill, positions


@pytest.fixture
async def event_store() -> AsyncIterator[EventStore]:
    async with open_store("memory://", COLOURS) as event_store:
        yield event_store


async def test_a_reader_alone_has_its_next_page_read_and_decoded_while_the_last_one_is_applied(
    event_store: EventStore, counted: Counted
) -> None:
    await fill(event_store, 30)
    reader = Feed(event_store).reader(["Red", "Green", "Blue"])
    page = await reader.page(0, 20)

    async with reader.reading_on(page, 20):
        reader.decode(page.events)
    assert counted.read == counted.decoded == await positions(event_store)
    page = await reader.page(page.through, 20)

    assert [event.global_position for event in reader.decode(page.events)] == (await positions(event_store))[20:]
    assert (counted.pages, len(counted.decoded)) == (2, 30)
    assert reader.is_at_head


async def test_nothing_is_read_ahead_at_the_head(event_store: EventStore, counted: Counted) -> None:
    await fill(event_store, 30)
    reader = Feed(event_store).reader(["Red", "Green", "Blue"])
    at_head = await reader.page(0, 40)
    async with reader.reading_on(at_head, 40):
        assert counted.pages == 1

    assert counted.pages == 1


async def test_who_shares_with_nobody_any_more_reads_ahead_for_itself(
    event_store: EventStore, counted: Counted
) -> None:
    await fill(event_store, 60)
    feed = Feed(event_store)
    reader, other = feed.reader(["Red", "Green", "Blue"]), feed.reader(["Red", "Green"])
    page = await reader.page(0, 20)
    del other
    gc.collect()
    async with reader.reading_on(page, 20):
        pass

    assert len(counted.decoded) == 20
    page = await reader.page(page.through, 20)
    assert counted.pages == 2
    assert [event.global_position for event in reader.decode(page.events)] == (await positions(event_store))[20:40]


@pytest.mark.parametrize(("after", "limit", "connections"), [(10, 20, 0), (20, 10, 0), (20, 20, 7)])
async def test_what_was_read_ahead_serves_only_whoever_asks_for_just_that(  # noqa: PLR0917  # a row of the table
    event_store: EventStore, counted: Counted, monkeypatch: pytest.MonkeyPatch, after: int, limit: int, connections: int
) -> None:
    await fill(event_store, 60)
    places = await positions(event_store)
    reader = Feed(event_store).reader(["Red", "Green", "Blue"])
    page = await reader.page(0, 20)
    async with reader.reading_on(page, 20):
        await asyncio.sleep(0)
    monkeypatch.setattr(type(event_store.store), "connections", connections)

    page = await reader.page(places[after - 1], limit)

    assert counted.pages == 3
    assert [event.global_position for event in reader.decode(page.events)] == places[after : after + limit]


async def test_what_fails_while_it_is_read_ahead_is_told_when_it_is_asked_for(
    event_store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(event_store, 30)
    reader = Feed(event_store).reader(["Red", "Green", "Blue"])
    page = await reader.page(0, 20)

    async def away(after: int, **_: Any) -> Page:
        raise Unavailable("the log is away")

    monkeypatch.setattr(event_store, "page", away)
    async with reader.reading_on(page, 20):
        await asyncio.sleep(0)

    with pytest.raises(Unavailable, match="the log is away"):
        await reader.page(page.through, 20)


async def test_reading_ahead_ends_with_the_batch_that_fails(
    event_store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(event_store, 30)
    reader = Feed(event_store).reader(["Red", "Green", "Blue"])
    page = await reader.page(0, 20)

    async def never(after: int, **_: Any) -> Page:
        await asyncio.Event().wait()
        raise AssertionError

    monkeypatch.setattr(event_store, "page", never)
    before = asyncio.all_tasks()

    async def fail() -> None:
        async with reader.reading_on(page, 20):
            await asyncio.sleep(0)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert asyncio.all_tasks() == before
