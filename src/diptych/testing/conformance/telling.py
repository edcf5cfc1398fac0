"""How projections are doing, told from any process."""

import logging
from collections.abc import Mapping
from typing import ClassVar

import pytest
from sqlalchemy import text

from diptych.errors import Unavailable
from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Generation
from diptych.read.db.database import ReadDatabase
from diptych.read.projections.projection import AnyProjection
from diptych.read.tend import lateness
from diptych.read.tend.status import ProjectionStatus, statuses
from diptych.testing.conformance.accounts import Accounts, Opened, Paid, System
from diptych.testing.conformance.case import until
from diptych.testing.conformance.fragile import BROKEN, Patient
from diptych.testing.conformance.read_case import ReadDatabaseCase
from diptych.testing.conformance.rebuilding import half_a_rebuild
from diptych.testing.conformance.sharing import is_told

LAG_S = 0.2


class Prompt(Accounts):
    """May not lag."""

    max_lag_s: ClassVar[float | None] = LAG_S


class Telling(ReadDatabaseCase):
    """One call tells all."""

    async def test_what_is_in_step_is_running_and_has_no_lag(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        async with system.running():
            last = await system.append(Opened(account="a", owner="ann"), Paid(account="a", amount=1))
            await system.reached("accounts", last)
            status = await only(system)

        assert (status.state, status.checkpoint, status.head) == ("running", last, last)
        assert (status.lag_events, status.lag_s, status.seconds_left) == (0, 0.0, None)
        assert status.owner is not None
        assert status.rate > 0
        assert status.note is None

    async def test_what_is_paused_lags_and_says_so_with_the_log_and_without_it(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system, elsewhere = System(event_store, read_db, Accounts), System(event_store, read_db, Accounts, follow=False)
        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))
            await elsewhere.synchronizer.pause("accounts")
            await system.append(Paid(account="a", amount=1), Paid(account="a", amount=2))
            await until(lambda: is_lagging(elsewhere, 0.05))
            status = await only(elsewhere)
            [without] = await statuses(read_db, projections(elsewhere))

        assert (status.state, status.lag_events) == ("paused", 2)
        assert status.lag_s > 0
        assert (without.state, without.checkpoint, without.owner) == ("paused", status.checkpoint, status.owner)
        assert status.note == "accounts is paused"

    async def test_what_stands_still_tells_of_its_event(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        accounts = Accounts()
        accounts.broken_at = BROKEN
        system = System(event_store, read_db, accounts)
        guilty = await system.append(Paid(account="a", amount=BROKEN))
        async with system.running():
            await until(lambda: system.is_in("faulted"))
            status = await only(system)
            [without] = await statuses(read_db, projections(system))

        assert (status.error_position, status.error_type) == (guilty, "Paid")
        assert status.error == "RuntimeError: a bug in evolve"
        assert status.since is not None
        assert without.lag_s > 0  # known from the event itself, without the log
        assert status.note == "accounts is faulted: RuntimeError: a bug in evolve"

    async def test_what_is_parked_is_told_by_key(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        patient = Patient()
        patient.broken_at = BROKEN
        system = System(event_store, read_db, patient)
        guilty = await system.append(Paid(account="a", amount=BROKEN))
        last = await system.append(Paid(account="a", amount=1))
        async with system.running():
            await system.synchronizer.wait_for("patient", last, timeout=30)
            status = await only(system)

        [key] = status.parked
        assert (status.state, status.lag_events) == ("running", 0)
        assert (key.key, key.position, key.type, key.events) == ("a", guilty, "Paid", 2)
        assert (key.error, key.tries) == ("RuntimeError: a bug in evolve", 1)

    async def test_what_nobody_owns_for_longer_than_a_lease_says_so(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))
        assert (await only(system)).state == "running"  # somebody may be about to take it over

        async with read_db.begin() as connection:
            await connection.execute(text("UPDATE diptych_checkpoint SET lease_until = 1"))

        assert (await only(system)).state == "no owner"

    async def test_while_only_the_log_is_away_it_is_told_as_its_owner_saw_it(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def away() -> int:
            raise Unavailable("the log is away")

        system = System(event_store, read_db, Accounts)
        async with system.running():
            last = await system.append(Opened(account="a", owner="ann"))
            await system.reached("accounts", last)
        monkeypatch.setattr(event_store.store, "head", away)

        [status] = await system.synchronizer.status(declared=True)

        assert (status.checkpoint, status.head, status.lag_events) == (last, last, 0)

    async def test_what_a_projection_is_verified_by_is_not_told_of(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))
            await half_a_rebuild(system, Generation("accounts", 1, 0))

            assert await system.generations() == [(1, True)]

    async def test_a_rebuild_under_way_is_told_beside_what_is_served(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        last = await system.append(*(Opened(account=str(n), owner="ann") for n in range(10)))
        async with system.running():
            await system.reached("accounts", last)
            await half_a_rebuild(system, Generation("accounts", 1, 2))
            told = [(each.generation, each.served, each.state) for each in await system.synchronizer.status()]

        assert told == [(1, True, "running"), (2, False, "rebuilding")]

    async def test_who_is_later_than_it_may_be_is_logged_at_the_beginning_and_at_the_end(
        self,
        event_store: EventStore,
        read_db: ReadDatabase,
        caplog: pytest.LogCaptureFixture,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        monkeypatch.setattr(lateness, "LOOK_S", 0.02)
        caplog.set_level(logging.INFO, "diptych.projection")
        system = System(event_store, read_db, Prompt)
        async with system.running():
            await system.reached("prompt", await system.append(Opened(account="a", owner="ann")))
            async with read_db.begin() as connection:
                held = await checkpoint.hold(connection, Generation("prompt", 1))
                assert held is not None
                await system.append(Paid(account="a", amount=1))
                await until(lambda: is_told(caplog, "prompt is late:"))
                late = await only(system)
            await until(lambda: is_told(caplog, "prompt is late no more"))
            status = await only(system)

        assert (late.state, status.state) == ("late", "running")
        assert late.note is not None
        assert late.note.endswith(f"s behind, {LAG_S} s are allowed")
        assert sum("is late:" in record.message for record in caplog.records) == 1


async def only(system: System) -> ProjectionStatus:
    """How the only projection is doing."""
    [status] = await system.synchronizer.status()
    return status


async def is_lagging(system: System, seconds: float) -> bool:
    """Whether it lags by more than that."""
    return (await only(system)).lag_s > seconds


def projections(system: System) -> Mapping[str, AnyProjection]:
    """Those of a system, by name."""
    return {each.name: each for each in system.projections}
