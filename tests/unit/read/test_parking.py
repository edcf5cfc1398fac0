"""What is parked when a database is lost in the middle, or where another share has its part: nothing out of order."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from diptych import EventStore, Park, ReadDatabase, ReadModelSynchronizer, Unavailable, open_read_db, open_store
from diptych.read.books import parked
from diptych.read.projections.partitions import partition_of
from diptych.store.port import StoredEvent
from diptych.testing.conformance.case import until

from .names import Names, Told, following, lose_a_commit, rows, tell, until_it_is


@pytest.fixture
async def event_store() -> AsyncIterator[EventStore]:
    async with open_store("memory://", [Told]) as event_store:
        yield event_store


@pytest.fixture
async def read_db() -> AsyncIterator[ReadDatabase]:
    async with open_read_db("sqlite:///:memory:") as read_db:
        yield read_db


async def test_what_queues_stays_closed_when_the_commit_of_a_retry_is_lost(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Names, "poison", frozenset({1}))
    await tell(event_store, 1)
    async with following(event_store, read_db) as synchronizer:
        await until_it_is(synchronizer, lambda found: bool(found.parked))
        monkeypatch.setattr(Names, "poison", frozenset())
        remove = parked.remove

        async def remove_in_vain(*given: object) -> None:
            monkeypatch.setattr(parked, "remove", remove)
            await remove(*given)  # type: ignore[arg-type]
            lose_a_commit(monkeypatch, lambda: tell(event_store, 2))

        monkeypatch.setattr(parked, "remove", remove_in_vain)
        await synchronizer.retry("names", "ann")
        await until_it_is(synchronizer, lambda found: not found.parked and not found.lag_events)

    assert await rows(read_db, Names) == {"ann": "12"}


async def test_a_queue_that_falls_apart_while_it_is_retried_is_retried_to_its_end(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Names, "poison", frozenset({1, 3}))
    await tell(event_store, 1, "ann", "bob")
    await tell(event_store, 2, "ann")
    last = await tell(event_store, 3, "bob")
    async with following(event_store, read_db) as synchronizer:
        await until_it_is(synchronizer, lambda found: found.checkpoint == last)
        monkeypatch.setattr(Names, "poison", frozenset({3}))
        await synchronizer.retry("names", "bob")
        found = await until_it_is(synchronizer, lambda found: len(found.parked) == 1)

    assert [(each.key, each.events) for each in found.parked] == [("bob", 1)]
    assert await rows(read_db, Names) == {"ann": "12", "bob": "1"}


async def test_what_is_retried_beside_a_failure_waits_for_a_log_that_is_away_and_leaves_the_failure_alone(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Names, "poison", frozenset({1, 2}))
    monkeypatch.setattr(Names, "on_failure", Park(tries=1, limit=1))
    await tell(event_store, 1, "ann")
    last = await tell(event_store, 2, "bob")
    async with following(event_store, read_db) as synchronizer:
        await until_it_is(synchronizer, lambda found: found.state == "faulted")
        monkeypatch.setattr(Names, "poison", frozenset())
        event_at = event_store.store.event_at

        async def away_once(position: int) -> StoredEvent | None:
            monkeypatch.setattr(event_store.store, "event_at", event_at)
            raise Unavailable("the log is away")

        monkeypatch.setattr(event_store.store, "event_at", away_once)
        await synchronizer.retry("names", "ann")
        found = await until_it_is(synchronizer, lambda found: not found.parked)

    assert (found.state, found.error_position) == ("faulted", last)
    assert await rows(read_db, Names) == {"ann": "1"}


class Pairs(Names):
    name = "pairs"
    partitions = 2


async def test_an_event_queues_behind_what_is_parked_of_its_own_partition_only(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    here, too, there = "d", "t", "a"
    assert [partition_of(name, 2) for name in (here, too, there)] == [0, 0, 1]
    monkeypatch.setattr(Names, "poison", frozenset({1}))
    await tell(event_store, 1, here, there)
    last = await tell(event_store, 2, too, there)
    synchronizer = ReadModelSynchronizer(event_store, read_db, [Pairs])
    running = asyncio.create_task(synchronizer.run())

    async def is_through() -> bool:
        found = await synchronizer.status()
        return bool(found) and all(each.checkpoint == last for each in found)

    await until(is_through)
    synchronizer.stop()
    await running

    assert await rows(read_db, Pairs) == {too: "2"}
