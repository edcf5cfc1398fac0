"""What a synchronizer refuses, and what it does while things go wrong inside it."""

import asyncio
from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, ForeignKey, MetaData, Table

from diptych.errors import BadProjection, NoProjection, Unavailable
from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.db.database import ReadDatabase
from diptych.read.follow import generations, keeper, runner
from diptych.read.follow.follower import Follower
from diptych.read.projections.projection import TableProjection, checked
from diptych.read.synchronizer import ReadModelSynchronizer
from diptych.testing.conformance.accounts import Account, Accounts, Journal, Opened, Other, Owners, Paid, System
from diptych.testing.conformance.case import until
from diptych.testing.conformance.splitting import SplitAccounts


async def test_it_ends_when_it_is_cancelled_and_lets_go_of_what_it_owns(
    event_store: EventStore, read_db: ReadDatabase
) -> None:
    synchronizer = ReadModelSynchronizer(event_store, read_db, [Accounts, Owners])
    running = asyncio.create_task(synchronizer.run())
    assert not (await synchronizer.wait_for("accounts", 0, timeout=60)).stale
    running.cancel()

    done, _ = await asyncio.wait([running], timeout=60)

    assert done
    assert running.cancelled()
    async with read_db.snapshot() as connection:
        assert {each.owner for each in await checkpoint.all_of(connection)} == {None}


async def test_an_unknown_name_is_refused_with_those_known(event_store: EventStore, read_db: ReadDatabase) -> None:
    synchronizer = ReadModelSynchronizer(event_store, read_db, [Accounts, Owners])

    with pytest.raises(NoProjection, match="no projection 'nobody' here: known are accounts, owners"):
        await synchronizer.rebuild_projection("nobody")


def test_an_event_without_the_key_of_the_rows_is_found_at_start_up() -> None:
    class Astray(TableProjection[Account, Opened | Other]):
        def evolve(self, row: Account | None, event: RecordedEvent[Opened | Other]) -> Account | None:
            return row

    with pytest.raises(BadProjection, match="Other has no field 'account', the key of Astray's rows"):
        checked(Astray)


def test_two_projections_of_one_name_are_refused(event_store: EventStore, read_db: ReadDatabase) -> None:
    with pytest.raises(BadProjection, match="two projections are named 'accounts'"):
        ReadModelSynchronizer(event_store, read_db, [Accounts, Accounts])


def test_tables_that_can_not_be_told_apart_are_refused(event_store: EventStore, read_db: ReadDatabase) -> None:
    class Other(Journal):
        name = "other"

    with pytest.raises(BadProjection, match="'journal' and 'other' both keep a table 'journal'"):
        ReadModelSynchronizer(event_store, read_db, [Journal, Other])


def test_a_foreign_key_is_refused(event_store: EventStore, read_db: ReadDatabase) -> None:
    known = MetaData()
    parent = Table("parent", known, Column("id", BigInteger, primary_key=True))
    child = Table("child", known, Column("parent", BigInteger, ForeignKey("parent.id")))

    class Linked(Journal):
        tables = (parent, child)

    with pytest.raises(BadProjection, match="table 'child' of Linked has a foreign key"):
        ReadModelSynchronizer(event_store, read_db, [Linked])


async def test_pauses_grow_while_an_event_fails(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[int] = []

    def noted(tries: int) -> float:
        pauses.append(tries)
        return 0.0

    monkeypatch.setattr(runner, "back_off_s", noted)
    broken = Accounts()
    broken.broken_at = 5
    system = System(event_store, read_db, broken)
    async with system.running():
        await system.append(Opened(account="a", owner="ann"), Paid(account="a", amount=5))
        await until(lambda: is_faulted(system))

    assert pauses == [0, 1, 2]


async def test_a_fault_that_can_not_be_recorded_at_once_is_recorded_later(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail, times = checkpoint.fail, 0

    async def away_at_first(*arguments: Any) -> None:
        nonlocal times
        times += 1
        if times < 3:
            raise Unavailable("away")
        await fail(*arguments)

    monkeypatch.setattr(checkpoint, "fail", away_at_first)
    broken = Accounts()
    broken.broken_at = 5
    system = System(event_store, read_db, broken)
    async with system.running():
        await system.append(Opened(account="a", owner="ann"), Paid(account="a", amount=5))
        await until(lambda: is_faulted(system))


async def test_a_partition_of_a_first_build_whose_runner_ends_is_begun_again(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, times = Follower.claim, 0

    async def ends_at_first(follower: Follower, owner: str) -> bool:
        nonlocal times
        times += follower.of.generation == 1 and follower._partition == 1
        if times == 1 and follower._partition == 1:
            raise KeyError("nobody foresaw this")
        return await claim(follower, owner)

    monkeypatch.setattr(keeper, "AGAIN_S", 0.01)
    monkeypatch.setattr(runner.Runner, "_stand_still", _end)
    monkeypatch.setattr(Follower, "claim", ends_at_first)
    system = System(event_store, read_db, SplitAccounts)
    async with system.running():
        await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))

    assert times == 2


async def test_tables_that_can_not_be_removed_are_told_of_once_and_end_nothing(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def refused(connection: Any, name: str) -> None:
        raise RuntimeError(f"a view depends on {name}")

    system = System(event_store, read_db, Accounts, Owners)
    monkeypatch.setattr(keeper, "AGAIN_S", 0.01)
    monkeypatch.setattr(generations, "drop_table", refused)
    async with system.running():
        await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))

        await system.synchronizer.rebuild_projection("accounts", keep_s=0)

        seen = system.synchronizer._worker.looks
        await until(lambda: has_looked(system, seen + 3))
        last = await system.append(Paid(account="a", amount=1))
        await system.reached("accounts", last)
        await system.reached("owners", last)
    [told] = [each.message for each in caplog.records if "can't be removed" in each.message]
    assert told.startswith("generation 1 that accounts served stays, its tables can't be removed; drop what")


async def _end(_: runner.Runner, error: Exception, page: Any) -> None:
    raise error


async def has_looked(system: System, times: int) -> bool:
    return system.synchronizer._worker.looks >= times


async def is_faulted(system: System) -> bool:
    return "faulted" in {status.state for status in await system.synchronizer.status()}
