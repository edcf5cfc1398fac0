"""Several workers at the projections of one read database."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Sequence
from typing import ClassVar

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, select

from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read.ask.view import Gate, Views
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Generation, Plan
from diptych.read.db.database import ReadDatabase
from diptych.read.follow import follower, heartbeat, ownership
from diptych.read.projections.projection import Projection, Transaction
from diptych.testing.conformance.accounts import Account, Accounts, Journal, Opened, Owners, Paid, System
from diptych.testing.conformance.case import until
from diptych.testing.conformance.owning import let_the_lease_run_out
from diptych.testing.conformance.read_case import ReadDatabaseCase


class Slow(Projection[Paid]):
    """Takes its time at each event."""

    tables: ClassVar[Sequence[Table]] = (
        Table("slow", MetaData(), Column("id", BigInteger, primary_key=True), Column("amount", BigInteger)),
    )

    async def apply(self, event: RecordedEvent[Paid], tx: Transaction) -> None:
        line = {"id": event.global_position, "amount": event.data.amount}
        await tx.execute(tx.table("slow").insert(), line)
        await asyncio.sleep(0.02)


class Sharing(ReadDatabaseCase):
    """Each projection has one owner; who comes gets a part, and who goes is followed at once."""

    async def test_projections_are_spread_over_workers_as_they_come_and_go(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        kinds = [Accounts, Owners, Journal, Slow]
        one, two = System(event_store, read_db, *kinds), System(event_store, read_db, *kinds)
        last = await one.append(Opened(account="a", owner="ann"), Paid(account="a", amount=1))

        async with one.running():
            await until(lambda: are_spread(read_db, [4]))
            async with two.running():
                await until(lambda: are_spread(read_db, [2, 2]))
                last = await one.append(Paid(account="a", amount=2))
                for name in ("accounts", "owners", "journal", "slow"):
                    await one.reached(name, last)
            await until(lambda: are_spread(read_db, [4]))
            await one.reached("accounts", await one.append(Paid(account="a", amount=4)))

        assert await one.model(Accounts).get("a") == Account("a", "ann", 7, 3)

    async def test_an_owner_that_falls_silent_is_followed_when_its_lease_has_run_out(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="a", owner="ann"))
        async with system.running():
            await system.reached("accounts", 1)
        async with read_db.begin() as connection:
            assert await checkpoint.claim(connection, Generation("accounts", 1), "elsewhere/1/there")
        system = System(event_store, read_db, Accounts)

        async with system.running():
            paid = await system.append(Paid(account="a", amount=1))
            reached = await system.synchronizer.wait_for("accounts", paid, timeout=1)
            assert (reached.stale, reached.reason) == (True, "timeout")
            async with read_db.begin() as connection:
                await let_the_lease_run_out(connection)
            await system.reached("accounts", paid)

    async def test_leases_are_kept_by_a_thread_of_their_own(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(heartbeat, "BEAT_S", 0.05)
        system = System(event_store, read_db, Accounts)
        async with system.running():
            await system.reached("accounts", 0)
            before = await lease_until(read_db)
            time.sleep(0.5)  # noqa: ASYNC251  # nothing of this event loop goes on meanwhile
            after = await lease_until(read_db)

        assert after > before + 200_000

    async def test_a_batch_that_takes_too_long_is_ended_in_its_middle(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(follower, "BATCH_S", 0.05)
        system = System(event_store, read_db, Slow)
        last = await system.append(*(Paid(account="a", amount=n) for n in range(20)))
        seen = set[int]()

        async with system.running():
            while (reached := await system.synchronizer.wait_for("slow", last, timeout=0)).stale:
                async with read_db.snapshot() as connection:
                    seen.update(each.position for each in await checkpoint.all_of(connection))
                await asyncio.sleep(0.005)
            assert reached.position == last
            views: Views[Slow] = Views(Slow(), Gate(read_db, Slow(), system.synchronizer.watcher))
            async with views.snapshot() as view:
                amounts = (await view.connection.execute(select(view.table("slow").c.amount))).scalars().all()

        assert sorted(amounts) == list(range(20))
        assert len(seen - {0, last}) > 1

    async def test_a_slow_projection_holds_neither_appends_nor_the_others_up(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Slow, Accounts, Owners)
        last = await system.append(Opened(account="a", owner="ann"), *(Paid(account="a", amount=1) for _ in range(250)))
        async with system.running():
            await system.reached("accounts", 0)
            for _ in range(10):
                began = time.monotonic()
                last = await system.append(Paid(account="a", amount=1))
                appended = time.monotonic()
                await system.reached("accounts", last)
                await system.reached("owners", last)

                assert appended - began < 0.5
                assert time.monotonic() - appended < 1.0
            slow = await system.synchronizer.wait_for("slow", last, timeout=0)
            assert slow.stale  # all the while
            await system.reached("slow", last)

    async def test_what_has_no_owner_for_longer_than_a_lease_is_told_once(
        self,
        event_store: EventStore,
        read_db: ReadDatabase,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(ownership, "LOOK_S", 0.02)
        async with read_db.begin() as connection:
            await checkpoint.add(connection, Generation("accounts", 1), event_store.identity, Plan("{}", ""))
            await let_the_lease_run_out(connection)
        looking = System(event_store, read_db, Accounts, follow=False)
        caplog.set_level(logging.INFO, "diptych.worker")

        async with looking.running():
            await until(lambda: is_told(caplog, "accounts has had no owner"))
            async with read_db.begin() as connection:
                assert await checkpoint.claim(connection, Generation("accounts", 1), checkpoint.new_owner())
            await until(lambda: is_told(caplog, "accounts has an owner again"))

        assert sum("no owner" in record.message for record in caplog.records) == 1

    async def test_who_stands_by_says_for_whom(
        self, event_store: EventStore, read_db: ReadDatabase, caplog: pytest.LogCaptureFixture
    ) -> None:
        one, two = System(event_store, read_db, Accounts), System(event_store, read_db, Accounts)
        caplog.set_level(logging.INFO, "diptych.projection")

        async with one.running():
            await one.reached("accounts", 0)
            async with two.running():
                await until(lambda: is_told(caplog, "standing by"))


async def are_spread(read_db: ReadDatabase, loads: list[int]) -> bool:
    """Whether so many workers own so many projections each."""
    async with read_db.snapshot() as connection:
        owners = [each.owner for each in await checkpoint.all_of(connection)]
    return None not in owners and sorted(Counter(owners).values()) == loads


async def lease_until(read_db: ReadDatabase) -> int:
    """Until when the only projection is owned."""
    async with read_db.snapshot() as connection:
        [found] = await checkpoint.all_of(connection)
    return found.lease_until


async def is_told(caplog: pytest.LogCaptureFixture, words: str) -> bool:
    """Whether it was logged."""
    return any(words in record.message for record in caplog.records)
