"""What one share does when a database is lost in the middle: nothing twice, nothing out of order, nothing for good."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from msgspec import structs
from sqlalchemy import MetaData, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych import (
    Event,
    EventStore,
    Key,
    LogRewound,
    Park,
    ReadDatabase,
    ReadModelSynchronizer,
    RecordedEvent,
    Stop,
    TableProjection,
    Unavailable,
    open_read_db,
    open_store,
)
from diptych.read.books import checkpoint, parked
from diptych.read.books.checkpoint import FencedOut, new_owner
from diptych.read.books.wait import Watcher
from diptych.read.follow import follower, pace
from diptych.read.follow.follower import Follower
from diptych.read.follow.generations import prepare
from diptych.read.projections.partitions import partition_of
from diptych.read.tend.build import Build
from diptych.read.tend.status import ProjectionStatus
from diptych.store.port import Page, StoredEvent
from diptych.testing.conformance.case import until


class Told(Event):
    names: tuple[str, ...]
    number: int


@dataclass(frozen=True, kw_only=True)
class Row:
    name: Key[str]
    seen: str = ""


class Names(TableProjection[Row, Told]):
    """The numbers that each name was told with, in their order; some numbers are poison."""

    name = "names"
    on_failure: ClassVar[Stop | Park] = Park(tries=1)
    poison: ClassVar[frozenset[int]] = frozenset()
    why: ClassVar[str] = "poison"

    def keys(self, event: RecordedEvent[Told]) -> tuple[str, ...]:
        return event.data.names

    def evolve(self, row: Row | None, event: RecordedEvent[Told]) -> Row | None:
        if event.data.number in self.poison:
            raise ValueError(self.why)
        return replace(row, seen=row.seen + str(event.data.number)) if row else None

    def initial(self, key: str) -> Row:
        return Row(name=key)


class Halves(Names):
    name = "halves"
    partitions = 2

    def keys(self, event: RecordedEvent[Told]) -> tuple[str, ...]:
        return event.data.names[:1]


@pytest.fixture
async def event_store() -> AsyncIterator[EventStore]:
    async with open_store("memory://", [Told]) as event_store:
        yield event_store


@pytest.fixture
async def read_db() -> AsyncIterator[ReadDatabase]:
    async with open_read_db("sqlite:///:memory:") as read_db:
        yield read_db


@pytest.fixture
async def watcher(event_store: EventStore, read_db: ReadDatabase) -> AsyncIterator[Watcher]:
    watcher = Watcher(read_db, event_store.identity)
    yield watcher
    await watcher.close()


async def tell(event_store: EventStore, number: int, *names: str) -> int:
    told = Told(names=names or ("ann",), number=number)
    return (await event_store.append_events(stream_id="s", stream_type="S", events=[told])).position


@asynccontextmanager
async def following(event_store: EventStore, read_db: ReadDatabase) -> AsyncIterator[ReadModelSynchronizer]:
    synchronizer = ReadModelSynchronizer(event_store, read_db, [Names])
    running = asyncio.create_task(synchronizer.run())
    try:
        yield synchronizer
    finally:
        synchronizer.stop()
        await running


async def until_it_is(synchronizer: ReadModelSynchronizer, so: Callable[[ProjectionStatus], bool]) -> ProjectionStatus:
    found: list[ProjectionStatus] = []

    async def is_so() -> bool:
        found[:] = await synchronizer.status()
        return len(found) == 1 and so(found[0])

    await until(is_so)
    return found[0]


async def rows(read_db: ReadDatabase, projection: type[Names]) -> dict[str, str]:
    table = projection().shape().table(f"{projection.name}_v1", MetaData())
    async with read_db.acquire() as connection:
        return dict(iter(await connection.execute(select(table.c.name, table.c.seen))))


def lose_a_commit(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Awaitable[object]] | None = None) -> None:
    """Let the next commit be undone, as where the connection breaks under it."""
    commit = AsyncConnection.commit

    async def lost(connection: AsyncConnection) -> None:
        monkeypatch.setattr(AsyncConnection, "commit", commit)
        await connection.rollback()
        if meanwhile is not None:
            await meanwhile()
        raise OperationalError("COMMIT", {}, Exception("the connection was lost"))

    monkeypatch.setattr(AsyncConnection, "commit", lost)


async def test_a_first_build_is_served_although_the_log_was_away_when_it_was_claimed(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    last, head = await tell(event_store, 1), event_store.store.head

    async def away_once() -> int:
        monkeypatch.setattr(event_store.store, "head", head)
        raise Unavailable("the log is away")

    monkeypatch.setattr(event_store.store, "head", away_once)
    async with following(event_store, read_db) as synchronizer:
        assert not (await synchronizer.wait_for("names", last, timeout=10)).stale


async def test_who_lost_the_commit_of_a_claim_owns_nothing(
    event_store: EventStore, read_db: ReadDatabase, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = await prepare(event_store, read_db, Names())
    one, two = (Follower(event_store, read_db, Names(), of, watcher, publish=True) for _ in range(2))
    lose_a_commit(monkeypatch)
    with pytest.raises(Unavailable):
        await one.claim(new_owner())

    assert one.held is None
    assert await two.claim(new_owner())
    with pytest.raises(FencedOut):
        await one.read(10)


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


async def test_a_look_for_a_dead_branch_that_failed_is_made_again(
    event_store: EventStore, read_db: ReadDatabase, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(event_store, 1)
    of = await prepare(event_store, read_db, Names())
    follows = Follower(event_store, read_db, Names(), of, watcher, publish=True)
    await follows.claim(new_owner())
    page = await follows.read(10)
    assert page is not None
    await follows.apply(page)
    monkeypatch.setattr(type(event_store.store), "connections", 7)  # to a server that lacks the event
    answers: list[Exception | None] = [Unavailable("no answer"), None]

    async def event_at(position: int) -> StoredEvent | None:
        if (answer := answers.pop(0)) is not None:
            raise answer
        return None

    monkeypatch.setattr(event_store.store, "event_at", event_at)
    with pytest.raises(Unavailable):
        await follows.read(10)
    with pytest.raises(LogRewound):
        await follows.read(10)


async def test_partitions_of_a_first_build_are_served_however_slow_their_commits_are(
    event_store: EventStore, read_db: ReadDatabase, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "PUBLISH_AGAIN_S", 0.0)  # as if each commit took longer
    of = await prepare(event_store, read_db, Halves())
    parts = [Follower(event_store, read_db, Halves(), of, watcher, publish=True, partition=at) for at in range(2)]
    await tell(event_store, 1, "ann")
    await parts[0].claim(new_owner())
    await apply_all(parts[0])
    last = await tell(event_store, 2, "bob")
    await parts[1].claim(new_owner())
    await apply_all(parts[1])
    await apply_all(parts[0])

    assert not (await watcher.wait("halves", 1, last, 0)).stale


async def apply_all(part: Follower) -> None:
    """Apply what the log holds, once."""
    if (page := await part.read(10)) is not None:
        await part.apply(page)


async def test_a_failure_is_told_whatever_characters_it_is_made_of_and_its_lease_let_go_at_the_end(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Names, "poison", frozenset({1}))
    monkeypatch.setattr(Names, "why", "poison \ud800\0")
    monkeypatch.setattr(Names, "on_failure", Stop(tries=1))
    monkeypatch.setattr(logging.getLogger("diptych.projection"), "disabled", True)  # no report could hold it
    last = await tell(event_store, 1)
    async with following(event_store, read_db) as synchronizer:
        found = await until_it_is(synchronizer, lambda found: found.state == "faulted")

    assert (found.error, found.error_position) == ("ValueError: poison \\ud800\\0", last)
    async with read_db.snapshot() as connection:
        assert [each.owner for each in await checkpoint.all_of(connection)] == [None]


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


async def test_a_log_that_is_slow_makes_no_batch_smaller(
    event_store: EventStore, read_db: ReadDatabase, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(8):
        await tell(event_store, number)
    monkeypatch.setattr(pace, "BATCH_EVENTS", 2)
    build = Build(event_store, read_db, Names(), await prepare(event_store, read_db, Names()), watcher)
    await build.claim(new_owner())
    now, limits, page = [0.0], list[int](), event_store.page
    monkeypatch.setattr(pace, "monotonic", lambda: now[0])

    async def slow_page(after: int, *, limit: int, types: Collection[str]) -> Page:
        limits.append(limit)

        async def is_applied() -> bool:
            return build.position == after

        await until(is_applied)
        now[0] += 1000.0
        return await page(after, limit=limit, types=types)

    monkeypatch.setattr(event_store, "page", slow_page)
    await build.catch_up()

    assert set(limits) == {2}
    assert await rows(read_db, Names) == {"ann": "01234567"}


async def test_what_was_read_while_the_log_was_connected_anew_is_read_again(
    event_store: EventStore, read_db: ReadDatabase, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(event_store, 1)
    follows = Follower(
        event_store, read_db, Names(), await prepare(event_store, read_db, Names()), watcher, publish=True
    )
    await follows.claim(new_owner())
    page, answers = event_store.page, list[Page]()

    async def from_a_server_that_is_lost(after: int, *, limit: int, types: Collection[str]) -> Page:
        found = await page(after, limit=limit, types=types)
        answers.append(found)
        if len(answers) == 1:
            monkeypatch.setattr(type(event_store.store), "connections", 7)
            return Page([structs.replace(each, id="dead") for each in found.events], found.through)
        return found

    monkeypatch.setattr(event_store, "page", from_a_server_that_is_lost)
    read = await follows.read(10)

    assert read is not None
    assert [each.id for each in read.events] == [each.id for each in answers[1].events]


class Others(Names):
    name = "others"
    poison: ClassVar[frozenset[int]] = frozenset()


async def test_a_worker_that_comes_takes_over_what_goes_on_not_what_stands_still(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Names, "poison", frozenset({1}))
    monkeypatch.setattr(Names, "on_failure", Stop(tries=1))
    await tell(event_store, 1)
    first, second = (ReadModelSynchronizer(event_store, read_db, [Names, Others]) for _ in range(2))

    async def states() -> list[tuple[str, str]]:
        return [(each.name, each.state) for each in await first.status()]

    async def owners() -> list[str | None]:
        return [each.owner for each in await first.status()]

    async def stands_still() -> bool:
        return await states() == [("names", "faulted"), ("others", "running")]

    async def is_spread() -> bool:
        found = await owners()
        return None not in found and len(set(found)) == len(found)

    running = [asyncio.create_task(first.run())]
    await until(stands_still)
    [alone, _] = await owners()
    running.append(asyncio.create_task(second.run()))
    await until(is_spread)

    assert (await owners())[0] == alone
    first.stop()
    second.stop()
    await asyncio.gather(*running)
