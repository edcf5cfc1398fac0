"""Rebuilds: beside what is served, to their end, whoever is killed or comes second."""

import asyncio
from collections.abc import Collection
from pathlib import Path
from typing import ClassVar

import pytest
from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import EventFailed, Unavailable
from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import FencedOut, Generation
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.follower import Follower
from diptych.read.follow.generations import drop
from diptych.read.projections.projector import projector
from diptych.read.tend.rebuild import rebuild
from diptych.store.port import Page
from diptych.testing.conformance.accounts import (
    Account,
    AccountEvent,
    Accounts,
    Opened,
    Paid,
    System,
)
from diptych.testing.conformance.case import until
from diptych.testing.conformance.read_case import ReadDatabaseCase


class Count:
    """A number of events."""

    def __init__(self) -> None:
        self.events = 0


FOLDED: Count = Count()


class CountingAccounts(Accounts):
    """Accounts that count the events they are folded from."""

    name: ClassVar[str] = "accounts"

    def evolve(self, row: Account | None, event: RecordedEvent[AccountEvent]) -> Account | None:
        FOLDED.events += 1
        return super().evolve(row, event)


class Busy(EventStore):
    """A log that somebody appends to before every look."""

    async def page(self, after: int, *, limit: int, types: Collection[str] = (), durable: bool = True) -> Page:
        await self.append_events(stream_id="s", stream_type="S", events=[Paid(account="0", amount=1)])
        return await super().page(after, limit=limit, types=types, durable=durable)


class Rebuilding(ReadDatabaseCase):
    """What is served answers all the time, and is never older than it was."""

    async def test_what_is_paused_stays_paused_when_it_is_rebuilt(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="1", owner="ann"))
        async with system.running():
            await system.reached("accounts", await event_store.head())
            await system.synchronizer.pause("accounts")

            await system.synchronizer.rebuild_projection("accounts")

            last = await system.append(Paid(account="1", amount=4))
            reached = await system.synchronizer.wait_for("accounts", last, timeout=30)
            assert (reached.stale, reached.reason) == (True, "paused")
            await system.synchronizer.resume("accounts")
            await system.reached("accounts", last)

    async def test_a_rebuild_never_empties_what_is_served(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(*(Opened(account=str(n), owner="ann") for n in range(300)))

        async with system.running():
            await system.reached("accounts", await event_store.head())
            rebuilding = asyncio.create_task(system.synchronizer.rebuild_projection("accounts"))
            seen = set()
            while not rebuilding.done():
                seen.add((await system.model(Accounts).page()).total)
            await rebuilding
            last = await system.append(Paid(account="0", amount=4))
            await system.reached("accounts", last)

            assert seen <= {300}
            assert (await system.row("0")).balance == 4
            assert await system.served() == [2]

    async def test_a_rebuild_goes_on_where_a_crash_ended_it(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, CountingAccounts)
        await system.append(*(Opened(account=str(n), owner="ann") for n in range(10)))
        async with system.running():
            await system.reached("accounts", await event_store.head())
        applied = await half_a_rebuild(system, Generation("accounts", 1, 2))
        with pytest.raises(Unavailable, match="being built by another worker"):
            await system.synchronizer.rebuild_projection("accounts")

        await let_the_owner_die(read_db)
        FOLDED.events = 0
        await system.synchronizer.rebuild_projection("accounts")

        assert FOLDED.events == 10 - applied
        assert (await system.model(CountingAccounts).page()).total == 10
        assert await system.served() == [2]

    async def test_a_rebuild_comes_to_its_end_while_somebody_writes_all_the_time(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="0", owner="ann"))
        async with system.running():
            await system.reached("accounts", 1)

        busy = System(Busy(event_store.store, event_store.codec), read_db, Accounts)
        await asyncio.wait_for(busy.synchronizer.rebuild_projection("accounts"), 30)

        assert await system.served() == [2]

    async def test_what_is_switched_is_owned_again_though_nothing_happens(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="a", owner="ann"))

        async with system.running():
            await system.reached("accounts", 1)
            for change in (system.synchronizer.rebuild_projection, system.synchronizer.switch_back):
                await change("accounts")
                await until(system.owned_by_somebody)

    async def test_a_rebuild_that_ends_at_its_switch_owns_nothing(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="a", owner="ann"))
        async with system.running():
            await system.reached("accounts", 1)

        async def fails(connection: AsyncConnection, old: Generation, new: Generation) -> bool:
            raise RuntimeError("at the switch")

        monkeypatch.setattr(checkpoint, "switch", fails)
        with pytest.raises(RuntimeError, match="at the switch"):
            await system.synchronizer.rebuild_projection("accounts")
        monkeypatch.undo()

        assert await system.served() == [1]
        await system.synchronizer.rebuild_projection("accounts")
        assert await system.served() == [2]

    async def test_a_worker_goes_on_with_what_another_has_rebuilt(
        self, event_store: EventStore, read_db: ReadDatabase, tmp_path: Path
    ) -> None:
        worker = System(event_store, read_db, Accounts)
        async with worker.running(), self.open_read_db(tmp_path) as same_db:
            await worker.reached("accounts", await worker.append(Opened(account="a", owner="x")))

            await System(event_store, same_db, Accounts).synchronizer.rebuild_projection("accounts")

            await worker.reached("accounts", await worker.append(Paid(account="a", amount=5)))
            assert (await worker.row("a")).balance == 5
            assert await worker.served() == [2]

    async def test_a_worker_that_stands_still_goes_on_with_what_another_has_rebuilt(
        self, event_store: EventStore, read_db: ReadDatabase, tmp_path: Path
    ) -> None:
        broken = Accounts()
        broken.broken_at = 5
        worker = System(event_store, read_db, broken)
        async with worker.running(), self.open_read_db(tmp_path) as same_db:
            last = await worker.append(Opened(account="a", owner="x"), Paid(account="a", amount=5))
            await until(lambda: worker.is_in("faulted"))
            broken.broken_at = None

            await System(event_store, same_db, Accounts).synchronizer.rebuild_projection("accounts")

            await worker.reached("accounts", last)
            assert (await worker.row("a")).balance == 5

    async def test_a_rebuild_that_fails_leaves_the_served_version(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        accounts = Accounts()
        system = System(event_store, read_db, accounts)

        async with system.running():
            last = await system.append(Opened(account="a", owner="ann"), Paid(account="a", amount=2))
            await system.reached("accounts", last)
            accounts.broken_at = 2
            with pytest.raises(EventFailed, match=f"at position {last}: RuntimeError: a bug in evolve"):
                await system.synchronizer.rebuild_projection("accounts")

            assert (await system.row("a")).balance == 2
            assert len(await system.synchronizer.status()) == 1

    async def test_what_is_served_stays_when_the_end_of_a_rebuild_fails(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="a", owner="ann"))
        async with system.running():
            await system.reached("accounts", 1)

        async def away(self: Follower) -> None:
            raise Unavailable("away")

        monkeypatch.setattr(Follower, "release", away)
        await system.synchronizer.rebuild_projection("accounts")

        assert (await system.row("a")).owner == "ann"
        assert await system.served() == [2]

    async def test_what_is_served_stays_when_a_rebuild_is_cancelled_at_its_switch(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="a", owner="ann"))
        async with system.running():
            await system.reached("accounts", 1)
        switch = checkpoint.switch

        async def cancelled_here(connection: AsyncConnection, old: Generation, new: Generation) -> bool:
            rebuilding.cancel()
            return await switch(connection, old, new)

        monkeypatch.setattr(checkpoint, "switch", cancelled_here)
        rebuilding = asyncio.create_task(system.synchronizer.rebuild_projection("accounts"))
        with pytest.raises(asyncio.CancelledError):
            await rebuilding
        monkeypatch.undo()

        again = System(event_store, read_db, Accounts)
        assert (await again.row("a")).owner == "ann"
        async with again.running():
            await again.reached("accounts", await again.append(Paid(account="a", amount=3)))
            assert (await again.row("a")).balance == 3

    async def test_a_worker_of_the_old_generation_never_takes_the_pointer_back(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="a", owner="ann"))
        async with system.running():
            await system.reached("accounts", 1)
        await system.append(Paid(account="a", amount=3))
        late = Follower(
            event_store,
            read_db,
            system.projections[0],
            Generation("accounts", 1, 1),
            system.synchronizer.watcher,
            publish=True,
        )
        assert await late.claim(checkpoint.new_owner())
        page = await late.read(10)
        assert page is not None

        await rebuild(event_store, read_db, system.projections[0], system.synchronizer.watcher)
        with pytest.raises(FencedOut):
            await late.apply(page)
        assert await late.claim(checkpoint.new_owner())
        await late.apply(page)
        await drop(read_db, Generation("accounts", 1, 2))  # refused: it is served

        assert await system.generations() == [(1, False), (2, True)]
        assert (await system.row("a")).balance == 3

    async def test_several_rebuilds_at_once_leave_one_generation_and_no_other(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(*(Opened(account=str(n), owner="ann") for n in range(50)))
        async with system.running():
            await system.reached("accounts", 50)
            rebuilds = [system.synchronizer.rebuild_projection("accounts") for _ in range(3)]
            ends = await asyncio.gather(*rebuilds, return_exceptions=True)
            await system.reached("accounts", await system.append(Paid(account="1", amount=3)))

            assert any(isinstance(end, Generation) for end in ends)
            assert all(isinstance(end, Generation | Unavailable) for end in ends), ends
            assert len(await system.served()) == 1
            assert len(await system.generations()) == 2  # the one that was served before is kept
            assert (await system.row("1")).balance == 3

    async def test_what_is_served_has_its_secondary_indexes(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)

        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))
            first = await indexes(read_db, "accounts_v1")
            await system.synchronizer.rebuild_projection("accounts")
            rebuilt = await indexes(read_db, "accounts_v1_2")

        assert first == ["accounts_v1_newest"]
        assert rebuilt == ["accounts_v1_2_newest"]


async def half_a_rebuild(system: System, of: Generation) -> int:
    """Begin to build a generation and come to no end; the number of events applied."""
    projection = system.projections[0]
    made = projector(projection, of)
    async with system.read_db.begin() as connection:
        await checkpoint.add(connection, of, system.event_store.identity, made.plan)
        await made.create(connection)
    follower = Follower(system.event_store, system.read_db, projection, of, system.synchronizer.watcher, publish=False)
    assert await follower.claim(checkpoint.new_owner())
    page = await follower.read(4)
    assert page is not None
    await follower.apply(page)
    return len(page.events)


async def let_the_owner_die(read_db: ReadDatabase) -> None:
    """As if the process of every owner had gone."""
    async with read_db.begin() as connection:
        for each in await checkpoint.all_of(connection):
            await checkpoint.release(connection, each)


async def tables(read_db: ReadDatabase) -> list[str]:
    """The names of all tables."""
    async with read_db.acquire() as connection:
        return await connection.run_sync(lambda sync: inspect(sync).get_table_names())


async def indexes(read_db: ReadDatabase, table: str) -> list[str | None]:
    """The names of a table's secondary indexes."""
    async with read_db.acquire() as connection:
        found = await connection.run_sync(lambda sync: inspect(sync).get_indexes(table))
    return [index["name"] for index in found]
