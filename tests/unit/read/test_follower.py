"""What one share does when a database is lost in the middle: nothing twice, nothing out of order, nothing for good."""

import asyncio
import logging
from collections.abc import AsyncIterator, Collection
from typing import ClassVar

import pytest
from msgspec import structs

from diptych import (
    EventStore,
    LogRewound,
    ReadDatabase,
    ReadModelSynchronizer,
    Stop,
    Unavailable,
    open_read_db,
    open_store,
)
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import FencedOut, new_owner
from diptych.read.books.wait import Watcher
from diptych.read.follow import pace, publishing
from diptych.read.follow.follower import Follower
from diptych.read.follow.generations import prepare
from diptych.read.tend.build import Build
from diptych.store.port import Page, StoredEvent
from diptych.testing.conformance.case import until

from .names import Halves, Names, Told, following, lose_a_commit, rows, tell, until_it_is


@pytest.fixture
async def event_store() -> AsyncIterator[EventStore]:
    async with open_store("memory://", [Told]) as event_store:
        yield event_store


@pytest.fixture
async def read_db() -> AsyncIterator[ReadDatabase]:
    async with open_read_db("sqlite:///:memory:") as read_db:
        yield read_db


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
    monkeypatch.setattr(publishing, "AGAIN_S", 0.0)  # as if each commit took longer
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
