"""What a synchronizer refuses, and what it does while things go wrong inside it."""

from typing import Any

import pytest
from sqlalchemy import BigInteger, Column, ForeignKey, MetaData, Table

from diptych.errors import BadProjection, NoProjection, Unavailable
from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read import checkpoint, runner
from diptych.read.database import ReadDatabase
from diptych.read.projection import TableProjection, checked
from diptych.read.synchronizer import ReadModelSynchronizer
from diptych.testing.conformance.accounts import Account, Accounts, Journal, Opened, Other, Owners, Paid, System
from diptych.testing.conformance.case import until


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


async def is_faulted(system: System) -> bool:
    return "faulted" in {status.state for status in await system.synchronizer.status()}
