"""An owner that falls silent inside its batch: the server ends it before its lease does."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, text

from diptych import (
    Event,
    Key,
    LogIdentity,
    Projection,
    ReadModelSynchronizer,
    RecordedEvent,
    Stop,
    TableProjection,
    Transaction,
    Unavailable,
    open_read_db,
    open_store,
)
from diptych.read.books import checkpoint, workers
from diptych.read.books.checkpoint import LEASE_S, Generation, Plan
from diptych.read.follow import pace
from diptych.read.projections.projection import AnyProjection
from diptych.testing.conformance.case import until

OF = Generation("p", 1)
LOG = LogIdentity("log", 1)
VERSIONS = [18, 16, 15]
SILENCE_S = 0.5
EVENTS = 8


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_batch_under_way_holds_nobody_up_and_is_ended_when_it_falls_silent(
    postgres: Callable[[int], str], monkeypatch: pytest.MonkeyPatch, version: int
) -> None:
    monkeypatch.setattr(checkpoint, "SILENCE_S", SILENCE_S)
    async with open_read_db(postgres(version)) as read_db:
        async with read_db.begin() as connection:
            await checkpoint.add(connection, OF, LOG, Plan("{}", ""))
            held = await checkpoint.claim(connection, OF, "one/1/silent")
            await connection.execute(text("UPDATE diptych_checkpoint SET lease_until = 1"))
        assert held is not None

        async def is_taken_over() -> bool:
            async with read_db.begin() as connection:
                taken = await checkpoint.claim(connection, OF, "two/2/quick")
                await workers.beat(connection, "two/2/quick", ["p 1"])
            return taken is not None

        taken_over: list[bool] = []  # what fails inside a batch that is ended is told as that

        async def falls_silent() -> None:
            async with read_db.begin() as silent:
                await checkpoint.fence(silent, held)
                taken_over.append(await is_taken_over())
                await until(is_taken_over)
                await checkpoint.advance(silent, held, 5, "e")

        with pytest.raises(Unavailable):
            await falls_silent()
        assert taken_over == [False]  # at once: a claim that waited for its lock would have got it
        async with read_db.snapshot() as connection:
            [found] = await checkpoint.all_of(connection)
        assert (found.owner, found.position) == ("two/2/quick", 0)


def test_the_server_bears_less_silence_than_a_lease_lasts() -> None:
    assert checkpoint.SILENCE_S < LEASE_S


async def test_a_batch_that_lasts_is_ended_too_from_version_17_on(
    postgres: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SILENCE_S", SILENCE_S)
    async with open_read_db(postgres(18)) as read_db:
        async with read_db.begin() as connection:
            await checkpoint.add(connection, OF, LOG, Plan("{}", ""))
            held = await checkpoint.claim(connection, OF, "one/1/slow")
        assert held is not None

        async def lasts(seconds: float, *, may: bool) -> None:
            async with read_db.begin() as connection:
                await checkpoint.fence(connection, held)
                if may:  # as for making an index
                    await checkpoint.take_time(connection)
                await connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})

        began = time.monotonic()
        with pytest.raises(Unavailable):
            await lasts(20, may=False)

        assert time.monotonic() - began < 10
        await lasts(1.5 * SILENCE_S, may=True)


class Told(Event):
    number: int


@dataclass(frozen=True, kw_only=True)
class Number:
    number: Key[int]


class Dawdling(Projection[Told]):
    """Falls silent over one event: it waits for something else, in the middle of its transaction."""

    name = "dawdling"
    on_failure = Stop(tries=2)
    tables = (Table("told", MetaData(), Column("number", BigInteger, primary_key=True)),)

    async def apply(self, event: RecordedEvent[Told], tx: Transaction) -> None:
        await tx.execute(tx.table("told").insert().values(number=event.data.number))
        if event.data.number == 2:
            await asyncio.sleep(1.0)  # longer than the server bears


class Laborious(TableProjection[Number, Told]):
    """Is quick over an event, and slow over many."""

    name = "laborious"

    def evolve(self, row: Number | None, event: RecordedEvent[Told]) -> Number | None:
        time.sleep(0.1)  # as work that takes so long
        return Number(number=event.data.number)


async def test_a_handler_that_falls_silent_for_too_long_is_faulted_and_told_so(
    postgres: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SILENCE_S", SILENCE_S)
    monkeypatch.setattr(pace, "BATCH_S", SILENCE_S / 2)
    async with following(postgres(18), Dawdling) as synchronizer:

        async def is_faulted() -> bool:
            return [found.state for found in await synchronizer.status()] == ["faulted"]

        await until(is_faulted)
        [found] = await synchronizer.status()

    assert found.checkpoint == 1
    assert "do it in a Reaction" in (found.error or "")


async def test_a_batch_that_takes_too_long_as_a_whole_is_applied_in_parts(
    postgres: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checkpoint, "SILENCE_S", SILENCE_S)
    monkeypatch.setattr(pace, "BATCH_S", SILENCE_S / 2)
    async with following(postgres(18), Laborious) as synchronizer:
        reached = await synchronizer.wait_for("laborious", EVENTS, timeout=60)

    assert (reached.position, reached.stale) == (EVENTS, False)


@asynccontextmanager
async def following(url: str, projection: type[AnyProjection]) -> AsyncIterator[ReadModelSynchronizer]:
    """A projection that is kept in step, and a log of some events."""
    async with open_store(url, [Told]) as event_store, open_read_db(url) as read_db:
        told = [Told(number=number) for number in range(1, EVENTS + 1)]
        await event_store.append_events(stream_id="told", stream_type="Told", events=told)
        synchronizer = ReadModelSynchronizer(event_store, read_db, [projection])
        running = asyncio.create_task(synchronizer.run())
        try:
            yield synchronizer
        finally:
            synchronizer.stop()
            await running
