"""Events of three colours, readers of some of them, and what they ask of the log."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from diptych import Event, EventStore, RecordedEvent
from diptych.read.follow.feed import Reader
from diptych.store.port import Page, StoredEvent


class Red(Event):
    number: int


class Green(Event):
    number: int


class Blue(Event):
    number: int


COLOURS: list[type[Event]] = [Red, Green, Blue]


class Counted:
    """What was asked of a log."""

    def __init__(self, event_store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
        self.pages = 0
        self.read: list[int] = []
        self.decoded: list[int] = []
        page, decode = event_store.page, event_store.codec.decode

        async def counted_page(after: int, *, limit: int, types: Collection[str] = (), durable: bool = True) -> Page:
            found = await page(after, limit=limit, types=types, durable=durable)
            self.pages += 1
            self.read += [event.position for event in found.events]
            return found

        def counted_decode(stored: StoredEvent) -> RecordedEvent[Any]:
            self.decoded.append(stored.position)
            return decode(stored)

        monkeypatch.setattr(event_store, "page", counted_page)
        monkeypatch.setattr(event_store.codec, "decode", counted_decode)


async def append(event_store: EventStore, *events: Event) -> None:
    await event_store.append_events(stream_id="s", stream_type="S", events=events)


async def fill(event_store: EventStore, number: int) -> None:
    await append(event_store, *(COLOURS[n % 3](number=n) for n in range(number)))  # type: ignore[call-arg]


async def follow(reader: Reader, limit: int, *, pause: Any = None) -> list[tuple[int, str]]:
    """Everything a reader gets, page by page, as a projection would take it."""
    got: list[tuple[int, str]] = []
    after = reader.after
    while True:
        page = await reader.page(after, limit)
        got += [(event.global_position, event.event_type) for event in reader.decode(page.events)]
        if page.through == after and reader.is_at_head:
            return got
        after = page.through
        await (pause() if pause else asyncio.sleep(0))


async def positions(event_store: EventStore) -> list[int]:
    page = await event_store.store.read(0, limit=100_000)
    return [event.position for event in page.events]


async def wanted(event_store: EventStore, *types: str) -> list[tuple[int, str]]:
    page = await event_store.store.read(0, limit=100_000, types=types)
    return [(event.position, event.type) for event in page.events]
