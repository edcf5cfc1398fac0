"""Who changes what is served, or to be applied, of a projection on PostgreSQL takes turns, and none waits for ever."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, TypeAlias

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych import EventStore, ReadDatabase, Unavailable, open_read_db, open_store
from diptych.read.books import checkpoint, turns
from diptych.read.books.checkpoint import Failure, new_owner
from diptych.read.books.wait import Watcher
from diptych.read.follow import publishing
from diptych.read.follow.follower import Follower
from diptych.read.follow.generations import drop, prepare
from diptych.read.tend import acts
from diptych.read.tend.acts import Target
from diptych.testing.conformance.case import until

from .names import Halves, Names, Told, tell

Step: TypeAlias = Callable[[Follower, ReadDatabase], Coroutine[Any, Any, None]]
TARGET = Target("halves", 1, "ann")


@pytest.fixture
async def event_store() -> AsyncIterator[EventStore]:
    async with open_store("memory://", [Told]) as event_store:
        yield event_store


@pytest.fixture
async def read_db(postgres: Callable[[int], str]) -> AsyncIterator[ReadDatabase]:
    async with open_read_db(postgres(18)) as read_db:
        yield read_db


async def apply(part: Follower, _: ReadDatabase) -> None:
    page = await part.read(10)
    assert page is not None
    await part.apply(page)


async def park(part: Follower, _: ReadDatabase) -> None:
    page = await part.read(1)
    assert page is not None
    await part.park(page, "poison", 1)


async def fail(part: Follower, _: ReadDatabase) -> None:
    await part.fail(Failure("faulted", "poison", 1, "id", "Told", 0))


async def pause(_: Follower, read_db: ReadDatabase) -> None:
    await acts.pause(read_db, TARGET)


async def retry(_: Follower, read_db: ReadDatabase) -> None:
    await acts.retry(read_db, TARGET)


async def skip(_: Follower, read_db: ReadDatabase) -> None:
    await acts.skip(read_db, TARGET, "spoilt")


async def retry_every_key(_: Follower, read_db: ReadDatabase) -> None:
    await acts.retry_every_key(read_db, TARGET)


async def skip_key(_: Follower, read_db: ReadDatabase) -> None:
    await acts.skip_key(read_db, TARGET, "bob", "spoilt")


@pytest.mark.parametrize("step", [fail, pause, retry, skip, retry_every_key, skip_key])
async def test_who_waits_for_a_switch_holds_nothing_that_it_needs(
    event_store: EventStore, read_db: ReadDatabase, watcher: Watcher, step: Step
) -> None:
    of = await prepare(event_store, read_db, Halves())
    part = Follower(event_store, read_db, Halves(), of, watcher, publish=True)
    await tell(event_store, 1, "bob")
    await part.claim(new_owner())
    await park(part, read_db)
    if step is not fail:
        await fail(part, read_db)
    async with read_db.begin() as switching:
        await turns.take(switching, "halves")
        await turns.lock_alone(switching, "halves")
        waiting = asyncio.create_task(step(part, read_db))
        await until(lambda: is_waited_for(switching))
        assert await checkpoint.hold(switching, of) is not None
    await waiting


@pytest.mark.parametrize("step", [apply, park])
async def test_a_batch_waits_for_no_turn_to_be_served(
    event_store: EventStore,
    read_db: ReadDatabase,
    watcher: Watcher,
    monkeypatch: pytest.MonkeyPatch,
    step: Step,
) -> None:
    monkeypatch.setattr(publishing, "AGAIN_S", 0.0)
    of = await prepare(event_store, read_db, Halves())
    parts = [Follower(event_store, read_db, Halves(), of, watcher, publish=True, partition=at) for at in range(2)]
    last = await tell(event_store, 1, "ann")
    for part in parts:
        await part.claim(new_owner())
    await apply(parts[0], read_db)
    async with read_db.begin() as another:
        await turns.take(another, "halves")
        await step(parts[1], read_db)
        assert parts[1].position == last
        assert await checkpoint.served(another, "halves", 1) is None
    await apply(parts[1], read_db)

    assert not (await watcher.wait("halves", 1, 0, 0)).reason


async def is_waited_for(connection: AsyncConnection) -> bool:
    """Whether anybody on the server waits for a lock."""
    return bool(await connection.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")))


async def test_what_begins_to_be_served_is_not_dropped(
    event_store: EventStore, read_db: ReadDatabase, watcher: Watcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = await prepare(event_store, read_db, Names())
    part = Follower(event_store, read_db, Names(), of, watcher, publish=True)
    await tell(event_store, 1, "ann")
    await part.claim(new_owner())
    index, is_there, may_go_on = part.projector.index, asyncio.Event(), asyncio.Event()

    async def index_in_time(connection: AsyncConnection) -> None:
        await index(connection)
        is_there.set()
        await may_go_on.wait()

    monkeypatch.setattr(part.projector, "index", index_in_time)
    applying = asyncio.create_task(apply(part, read_db))
    await is_there.wait()
    async with read_db.begin() as looking:
        dropping = asyncio.create_task(drop(read_db, of))
        await until(lambda: is_waited_for(looking))
    may_go_on.set()
    await asyncio.gather(applying, dropping)

    async with read_db.snapshot() as connection:
        served = await checkpoint.served(connection, "names", 1)
        assert served is not None
        assert served.position == await event_store.head()
        assert await checkpoint.get(connection, of) is not None


async def test_a_batch_that_falls_silent_keeps_its_turn_no_longer_than_is_borne(
    read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(turns, "SILENCE_S", 0.1)
    taken: list[str] = []

    async def fall_silent() -> None:
        async with read_db.begin() as silent:
            assert await turns.take_if_free(silent, "names")
            async with read_db.begin() as other:
                await turns.take(other, "names")
                taken.append("by the other")

    with pytest.raises(Unavailable):
        await fall_silent()
    assert taken
