"""A rebuild stays its worker's until its end, however long a part of it waits; and what it built stays behind it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from diptych import (
    Event,
    EventStore,
    Key,
    ReadDatabase,
    RecordedEvent,
    TableProjection,
    Unavailable,
    open_read_db,
    open_store,
)
from diptych.read.books import checkpoint
from diptych.read.books.progress import Progress
from diptych.read.books.wait import Watcher
from diptych.read.follow.follower import Follower
from diptych.read.follow.generations import prepare
from diptych.read.tend import build
from diptych.read.tend.rebuild import rebuild
from diptych.store.port import Page
from diptych.testing.conformance.case import until

LEASE_S = 0.3


class Told(Event):
    name: str


@dataclass(frozen=True, kw_only=True)
class Row:
    name: Key[str]


class Halves(TableProjection[Row, Told]):
    name = "halves"
    partitions = 2

    def evolve(self, row: Row | None, event: RecordedEvent[Told]) -> Row | None:
        return Row(name=event.data.name)


@pytest.fixture
async def event_store() -> AsyncIterator[EventStore]:
    async with open_store("memory://", [Told]) as event_store:
        told = [Told(name=f"n{number}") for number in range(20)]
        await event_store.append_events(stream_id="s", stream_type="S", events=told)
        yield event_store


@pytest.fixture
async def read_db(event_store: EventStore) -> AsyncIterator[ReadDatabase]:
    async with open_read_db("sqlite:///:memory:") as read_db:
        await prepare(event_store, read_db, Halves())
        yield read_db


async def test_a_partition_that_is_done_stays_owned_until_the_others_are_too(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build, "LEASE_S", LEASE_S)
    monkeypatch.setattr(checkpoint, "LEASE_US", int(LEASE_S * 1_000_000))
    may_go_on, apply = asyncio.Event(), Follower.apply

    async def slow_second_half(part: Follower, page: Page) -> None:
        if part._partition == 1:
            await may_go_on.wait()
        await apply(part, page)

    monkeypatch.setattr(Follower, "apply", slow_second_half)
    watcher = Watcher(read_db, event_store.identity)
    first = asyncio.create_task(rebuild(event_store, read_db, Halves(), watcher))
    begun = [each.lease_until for each in await parts(read_db) if each.position]

    async def is_kept() -> bool:
        begun.extend(each.lease_until for each in await parts(read_db) if each.position)
        return bool(begun) and begun[-1] > begun[0] + 2 * LEASE_S * 1_000_000

    await until(is_kept)
    with pytest.raises(Unavailable, match="is being built by another worker"):
        await rebuild(event_store, read_db, Halves(), watcher)
    may_go_on.set()

    assert (await first).projection == "halves"
    await watcher.close()


async def test_what_was_built_stays_when_something_else_than_an_event_ends_a_rebuild(
    event_store: EventStore, read_db: ReadDatabase
) -> None:
    watcher = Watcher(read_db, event_store.identity)

    def broken_pipe(at: Progress) -> None:
        if at.position:
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        await rebuild(event_store, read_db, Halves(), watcher, progress=broken_pipe)
    left = max(each.position for each in await parts(read_db))
    gone_on = await rebuild(event_store, read_db, Halves(), watcher)

    assert left > 0
    assert gone_on.generation == max(each.of.generation for each in await parts(read_db))
    await watcher.close()


async def parts(read_db: ReadDatabase) -> list[checkpoint.Checkpoint]:
    """What the bookkeeping says of the parts that are built."""
    async with read_db.snapshot() as connection:
        return [each for each in await checkpoint.all_of(connection) if each.owner or each.served or each.position]
