"""Where a stream's version is, as soon as it is anywhere."""

import asyncio
from typing import Any

import pytest

from diptych.errors import Unavailable
from diptych.log import EventStore
from diptych.read.ask.versions import Versions
from diptych.testing.conformance.accounts import Opened
from diptych.testing.conformance.case import until


async def append(event_store: EventStore, stream: str) -> int:
    events = [Opened(account="a", owner="ann")]
    return (await event_store.append_events(stream_id=stream, stream_type="S", events=events)).position


async def test_a_version_is_found_when_it_comes(event_store: EventStore) -> None:
    versions = Versions(event_store)
    waiting = [asyncio.create_task(versions.position_of("s", version, 60)) for version in (1, 2, 2)]
    await asyncio.sleep(0)
    positions = [await append(event_store, stream) for stream in ("other", "s", "other", "s")]

    assert await asyncio.gather(*waiting) == [positions[1], positions[3], positions[3]]


async def test_one_that_is_there_is_found_in_no_time_and_one_that_is_not_in_time(event_store: EventStore) -> None:
    versions = Versions(event_store)
    position = await append(event_store, "s")

    assert await versions.position_of("s", 0, 0) == 0
    assert await versions.position_of("s", 1, 0) == position
    assert await versions.position_of("s", 2, 0) is None
    assert await versions.position_of("s", 2, 0.05) is None


async def test_one_that_comes_while_its_waiter_begins_is_not_missed(
    event_store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    look, positions = event_store.position_of, list[int]()

    async def appended_after_the_look(stream_id: str, version: int) -> int | None:
        found = await look(stream_id, version)
        if not positions:
            positions.append(await append(event_store, "s"))
        return found

    monkeypatch.setattr(event_store, "position_of", appended_after_the_look)

    assert await asyncio.wait_for(Versions(event_store).position_of("s", 1, 3_600), 30) == positions[0]


async def test_a_thousand_who_wait_read_the_log_once(event_store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    read, pages, versions = event_store.page, list[int](), Versions(event_store)

    async def counted(after: int, **how: Any) -> Any:
        pages.append(after)
        return await read(after, **how)

    monkeypatch.setattr(event_store, "page", counted)
    waiting = [asyncio.create_task(versions.position_of(f"s-{number}", 1, 60)) for number in range(1_000)]
    await until(lambda: asyncio.sleep(0, bool(pages)))
    positions = [await append(event_store, f"s-{number}") for number in range(1_000)]

    assert await asyncio.gather(*waiting) == positions
    assert len(pages) <= 2 * 1_000  # each once, whoever waits


async def test_they_are_found_when_the_log_is_back(event_store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    head, times = event_store.head, 0

    async def away_at_first() -> int:
        nonlocal times
        times += 1
        if times < 3:
            raise Unavailable("away")
        return await head()

    monkeypatch.setattr(event_store, "head", away_at_first)
    waiting = asyncio.create_task(Versions(event_store).position_of("s", 1, 60))
    await asyncio.sleep(0)
    position = await append(event_store, "s")

    assert await waiting == position
