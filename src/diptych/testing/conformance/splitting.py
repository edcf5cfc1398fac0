"""Partitions: one projection split by its keys, each part with a checkpoint and an owner of its own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pytest

from diptych.errors import BadProjection
from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Checkpoint, new_owner
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.follower import Follower
from diptych.read.follow.generations import prepare
from diptych.read.projections.columns import Key
from diptych.read.projections.partitions import partition_of
from diptych.read.projections.projection import TableProjection
from diptych.testing.conformance.accounts import (
    Account,
    AccountEvent,
    Accounts,
    Closed,
    Journal,
    Opened,
    Owners,
    Paid,
    System,
)
from diptych.testing.conformance.case import until
from diptych.testing.conformance.read_case import ReadDatabaseCase

PARTITIONS = 3
ACCOUNTS = 40


class SplitAccounts(Accounts):
    """Accounts in three partitions."""

    name: ClassVar[str] = "accounts"
    partitions: ClassVar[int] = PARTITIONS


class SplitOtherwise(Accounts):
    """The same in four."""

    name: ClassVar[str] = "accounts"
    partitions: ClassVar[int] = 4


class SplitOwners(Owners):
    """Rows that are not found by their key alone."""

    partitions: ClassVar[int] = 2


class SplitJournal(Journal):
    """Whatever its statements do."""

    partitions: ClassVar[int] = 2


@dataclass(frozen=True)
class ByAmount:
    """How often an amount was paid."""

    amount: Key[float]
    times: int = 0


class SplitAmounts(TableProjection[ByAmount, Paid]):
    """Keys that are equal and may be written differently."""

    partitions: ClassVar[int] = 2

    def evolve(self, row: ByAmount | None, event: RecordedEvent[Paid]) -> ByAmount | None:
        return ByAmount(event.data.amount, (row.times if row else 0) + 1)


class Splitting(ReadDatabaseCase):
    """All parts together are what the projection would be in one."""

    async def test_all_partitions_together_are_a_fold_over_the_log(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        async with followed(event_store, read_db) as system:
            last = await system.append(Paid(account="7", amount=100), Closed(account="8"))
            await system.reached("accounts", last)

            rows = {row.account: row for row in (await system.model(SplitAccounts).page(page_size=100)).items}
            assert rows == await folded(event_store)
            assert {part.partition: part.position for part in await parts(read_db)} == dict.fromkeys(range(3), last)
            found = await system.synchronizer.verify("accounts")
            assert (found.ok, found.rows) == (True, ACCOUNTS - 1), str(found)

    async def test_a_row_belongs_to_one_partition(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        system = System(event_store, read_db, SplitAccounts)
        await fill(system)
        projection = system.projections[0]
        of = await prepare(event_store, read_db, projection)
        watcher = system.synchronizer.watcher
        one = Follower(event_store, read_db, projection, of, watcher, publish=True, partition=1)
        assert await one.claim(new_owner())
        page = await one.read(10_000)
        assert page is not None

        await one.apply(page)

        async with read_db.snapshot() as connection:
            found = (await connection.exec_driver_sql("SELECT account FROM accounts_v1")).scalars().all()
            assert await checkpoint.served(connection, "accounts", 1) is None  # the others have not come so far
        assert 0 < len(found) < ACCOUNTS
        assert {partition_of(account, PARTITIONS) for account in found} == {1}
        async with system.running():
            await system.reached("accounts", await event_store.head())

    async def test_what_is_served_is_as_far_as_the_partition_furthest_behind(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        broken = SplitAccounts()
        broken.broken_at = 999
        system = System(event_store, read_db, broken)
        await fill(system)
        async with system.running():
            before = await event_store.head()
            await system.reached("accounts", before)
            last = await system.append(Paid(account="7", amount=999), Paid(account="8", amount=1))
            await until(lambda: system.is_in("faulted"))
            reached = await system.synchronizer.wait_for("accounts", last, timeout=5)

            assert (reached.stale, reached.reason) == (True, "faulted")
            assert reached.position < last
            stopped = [part.partition for part in await parts(read_db) if part.error is not None]
            assert stopped == [partition_of("7", PARTITIONS)]
            await until(lambda: come_to(read_db, last, without=stopped))

    async def test_partitions_are_spread_over_workers(
        self, event_store: EventStore, read_db: ReadDatabase, tmp_path: Path
    ) -> None:
        first = System(event_store, read_db, SplitAccounts)
        await fill(first)
        async with self.open_read_db(tmp_path) as same_db:
            second = System(event_store, same_db, SplitAccounts)
            async with first.running(), second.running():
                await until(lambda: owned_by(read_db, 2))
                last = await first.append(*(Paid(account=str(n), amount=1) for n in range(ACCOUNTS)))
                await second.reached("accounts", last)

                assert (await second.synchronizer.verify("accounts")).ok

    async def test_a_split_projection_is_rebuilt_and_switched_back_like_any_other(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        async with followed(event_store, read_db) as system:
            await system.synchronizer.rebuild_projection("accounts", before_switch="verify")
            last = await system.append(*(Paid(account=str(n), amount=1) for n in range(ACCOUNTS)))
            await system.reached("accounts", last)
            assert set(await system.served()) == {2}
            await system.synchronizer.switch_back("accounts")
            await system.reached("accounts", last)

            assert set(await system.served()) == {1}
            assert (await system.synchronizer.verify("accounts")).ok

    async def test_the_number_of_partitions_is_a_part_of_the_version(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        async with followed(event_store, read_db):
            pass

        with pytest.raises(BadProjection, match="was built in 3 partitions, the code declares 4. Raise its version"):
            await System(event_store, read_db, SplitOtherwise).synchronizer.check()

    @pytest.mark.parametrize("kind", [SplitOwners, SplitJournal, SplitAmounts])
    async def test_what_has_no_key_to_be_split_by_is_refused(
        self, event_store: EventStore, read_db: ReadDatabase, kind: type
    ) -> None:
        with pytest.raises(BadProjection, match="can't be split into 2 partitions"):
            System(event_store, read_db, kind)


@asynccontextmanager
async def followed(event_store: EventStore, read_db: ReadDatabase) -> AsyncIterator[System]:
    """Some accounts in three partitions, followed to the head of the log."""
    system = System(event_store, read_db, SplitAccounts)
    await fill(system)
    async with system.running():
        await system.reached("accounts", await event_store.head())
        yield system


async def fill(system: System) -> None:
    """Some accounts, each opened and paid into."""
    for number in range(ACCOUNTS):
        account = str(number)
        await system.append(Opened(account=account, owner="ann"), Paid(account=account, amount=number))


async def folded(event_store: EventStore) -> dict[str, Account]:
    """The rows as the log folds to them, without any database."""
    rows: dict[str, Account] = {}
    for event in await event_store.read_all(limit=10_000):
        data: AccountEvent = event.data
        row = Accounts().evolve(rows.pop(data.account, None), event)
        rows |= {} if row is None else {row.account: row}
    return rows


async def parts(read_db: ReadDatabase) -> list[Checkpoint]:
    """The bookkeeping of each partition."""
    async with read_db.snapshot() as connection:
        return await checkpoint.all_of(connection)


async def owned_by(read_db: ReadDatabase, workers: int) -> bool:
    """Whether so many workers own a part."""
    return len({part.owner for part in await parts(read_db)} - {None}) == workers


async def come_to(read_db: ReadDatabase, position: int, *, without: list[int]) -> bool:
    """Whether all parts but some have come to a position."""
    return all(part.position >= position for part in await parts(read_db) if part.partition not in without)
