"""Projections of one process share what they read of the log."""

import asyncio
from collections.abc import Collection
from typing import Any

import pytest

from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read.db.database import ReadDatabase
from diptych.read.follow import pace
from diptych.read.follow.feed import Reader
from diptych.store.port import Page, StoredEvent
from diptych.testing.conformance.accounts import Accounts, Journal, Opened, Other, Owners, Paid, System
from diptych.testing.conformance.read_case import ReadDatabaseCase


class Feeding(ReadDatabaseCase):
    """What all of them want is read and decoded once."""

    async def test_the_log_is_read_and_decoded_once_for_all_projections_that_catch_up(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(pace, "BATCH_EVENTS", 40)
        accounts = [str(n) for n in range(100)]
        await System(event_store, read_db, Accounts).append(
            *(event for n in accounts for event in (Opened(account=n, owner="ann"), Paid(account=n, amount=1), Other()))
        )
        # A page is read again where a connection is made meanwhile: have them all made before.
        await asyncio.gather(*(event_store.page(0, limit=10) for _ in range(20)))
        read, decoded = counted(event_store, monkeypatch)
        system = System(event_store, read_db, Accounts, Owners, Journal)
        let_them_begin_together(len(system.projections), monkeypatch)

        async with system.running():
            for projection in system.projections:
                await system.reached(projection.name, await event_store.head())

            # One that comes late to a page reads one by itself, and one ahead; each by itself would be 600.
            assert len(set(read)) == 200
            assert len(read) <= 200 + 2 * 2 * 40
            assert sorted(decoded) == sorted(read)
            for projection in system.projections:
                assert (await system.synchronizer.verify(projection.name)).ok


def let_them_begin_together(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have so many readers wait for each other before they read: one that is alone for long reads all by itself."""
    asking, all_ask, page = set[Reader](), asyncio.Event(), Reader.page

    async def together(self: Reader, after: int, limit: int) -> Page:
        asking.add(self)
        if len(asking) >= number:
            all_ask.set()
        await all_ask.wait()
        return await page(self, after, limit)

    monkeypatch.setattr(Reader, "page", together)


def counted(event_store: EventStore, monkeypatch: pytest.MonkeyPatch) -> tuple[list[int], list[int]]:
    """The positions of the events that are read from now on, and of those that are decoded, as often as they are."""
    read, decoded = list[int](), list[int]()
    page, decode = event_store.page, event_store.codec.decode

    async def counting_page(after: int, *, limit: int, types: Collection[str] = (), durable: bool = True) -> Page:
        found = await page(after, limit=limit, types=types, durable=durable)
        read.extend(event.position for event in found.events)
        return found

    def counting_decode(stored: StoredEvent) -> RecordedEvent[Any]:
        decoded.append(stored.position)
        return decode(stored)

    monkeypatch.setattr(event_store, "page", counting_page)
    monkeypatch.setattr(event_store.codec, "decode", counting_decode)
    return read, decoded
