"""Events that fail: what becomes of their projection, and how it is repaired by hand, from any process."""

import pytest
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, select

from diptych.catalogue import Catalogue
from diptych.codec import Codec
from diptych.errors import Misuse, NotFound, NotStopped
from diptych.log import EventStore
from diptych.read.books import parked
from diptych.read.books.parked import Parked
from diptych.read.db.database import ReadDatabase
from diptych.read.tend.acts import Skipped
from diptych.testing.conformance.accounts import EVENTS, Account, Accounts, Opened, Owners, Paid, System
from diptych.testing.conformance.case import until
from diptych.testing.conformance.fragile import (
    BROKEN,
    Ledger,
    Moved,
    NewerCodec,
    Patient,
    Scales,
    Transfers,
    Weighed,
    Weight,
    Weights,
    weighed,
)
from diptych.testing.conformance.read_case import ReadDatabaseCase


class Parking(ReadDatabaseCase):
    """What fails is set aside with its key; the others go on."""

    async def test_only_the_key_of_a_failing_event_waits_and_is_applied_in_order_when_it_is_retried(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        patient, system, guilty, last = await one_of_two_accounts_fails(event_store, read_db)
        async with system.running():
            reached = await system.synchronizer.wait_for("patient", last, timeout=30)
            assert (reached.position, reached.stale, reached.reason) == (last, True, "parked")
            assert (await balance(system, "a"), await balance(system, "b")) == (1, 7)
            rows = await all_parked(read_db)
            assert [(row.key, row.position, row.error) for row in rows] == [
                ("a", guilty, "RuntimeError: a bug in evolve"),
                ("a", last - 1, None),
            ]

            await system.synchronizer.retry("patient", "a")
            await until(lambda: failed_again(read_db))
            assert await balance(system, "a") == 1
            patient.broken_at = None
            await system.synchronizer.retry("patient", "a")
            await until(lambda: nothing_is_parked(read_db))

            assert await system.model(Patient).get("a") == Account("a", "ann", 1 + BROKEN + 20, 3)
            assert await all_parked(read_db) == []

    async def test_what_is_parked_stays_so_over_a_restart_and_still_holds_its_key_back(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        patient, system, _, last = await one_of_two_accounts_fails(event_store, read_db)
        async with system.running():
            await system.synchronizer.wait_for("patient", last, timeout=30)
        patient.broken_at = None
        again = System(event_store, read_db, patient)
        async with again.running():
            last = await again.append(Paid(account="a", amount=300), Paid(account="b", amount=1))
            await until(lambda: is_at(again, last))
            assert (await balance(again, "a"), await balance(again, "b")) == (1, 8)

            await again.synchronizer.retry("patient", "a")
            await until(lambda: nothing_is_parked(read_db))
            assert await balance(again, "a") == 1 + BROKEN + 20 + 300

    async def test_a_key_that_is_skipped_loses_the_failing_event_alone(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        _, system, guilty, last = await one_of_two_accounts_fails(event_store, read_db)
        async with system.running():
            await system.synchronizer.wait_for("patient", last, timeout=30)
            elsewhere = System(event_store, read_db, Patient, follow=False)
            await elsewhere.synchronizer.skip("patient", "booked by hand", "a", by="ann")
            await until(lambda: nothing_is_parked(read_db))

            assert await balance(system, "a") == 1 + 20
            [act] = await system.synchronizer.acts()
        assert (act.act, act.projection, act.key, act.position) == ("skip", "patient", "a", guilty)
        assert (act.reason, act.by) == ("booked by hand", "ann")

    async def test_more_than_may_be_parked_stops_the_projection_until_there_is_room(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        patient, system, _, _ = await one_of_two_accounts_fails(event_store, read_db)
        last = await system.append(*(Paid(account="a", amount=1) for _ in range(5)))
        async with system.running():
            await until(lambda: system.is_in("faulted"))
            [status] = await system.synchronizer.status()
            assert status.error is not None
            assert "above the limit of 4" in status.error

            patient.broken_at = None
            await system.synchronizer.retry("patient", "a")
            await until(lambda: nothing_is_parked(read_db))
            await system.synchronizer.retry("patient")
            await system.reached("patient", last)
            assert await balance(system, "a") == 1 + BROKEN + 20 + 5

    async def test_keys_that_share_an_event_wait_for_each_other(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        store = EventStore(event_store.store, Codec(Catalogue([Moved])))
        transfers = Transfers()
        system = System(store, read_db, transfers)
        moves = [("a", "b", BROKEN), ("b", "c", 2), ("c", "d", 3), ("e", "f", 4)]
        first, *others = [Moved(source=one, target=other, amount=n) for one, other, n in moves]
        guilty = await system.append(first)
        async with system.running():
            await until(lambda: is_at(system, guilty))
        last = await system.append(*others)
        async with System(store, read_db, transfers).running():  # which takes them in one batch
            await until(lambda: is_at(system, last))
            keys = {row.key for row in await all_parked(read_db)}
            assert keys == {"a", "b", "c", "d"}
            assert (await weight(system, Transfers, "f")).total == 4

            transfers.broken = False
            await system.synchronizer.retry("transfers", "d")
            await until(lambda: nothing_is_parked(read_db))
            logs = {key: (await weight(system, Transfers, key)).log for key in "abcd"}

        assert logs == {"a": f" -{BROKEN}", "b": f" {BROKEN} -2", "c": " 2 -3", "d": " 3"}

    async def test_what_precedes_an_event_that_fails_again_is_applied(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        patient, system, guilty, last = await one_of_two_accounts_fails(event_store, read_db)
        async with system.running():
            await system.synchronizer.wait_for("patient", last, timeout=30)
            patient.broken_at = 20
            await system.synchronizer.retry("patient", "a")
            await until(lambda: failed_again(read_db))

            assert await balance(system, "a") == 1 + BROKEN
            [row] = await all_parked(read_db)
        assert (row.position, row.error) == (last - 1, "RuntimeError: a bug in evolve")
        assert row.position > guilty

    async def test_all_that_is_parked_is_retried_each_key_by_itself_and_recorded_one_a_key(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        patient = Patient()
        patient.broken_at = BROKEN
        system = System(event_store, read_db, patient)
        await system.append(*(Opened(account=account, owner="ann") for account in "abc"))
        second = await system.append(*(Paid(account=account, amount=BROKEN) for account in "ab"))
        last = await system.append(Paid(account="c", amount=BROKEN + 1), Paid(account="a", amount=BROKEN + 1))
        async with system.running():
            await system.synchronizer.wait_for("patient", last, timeout=30)
            assert [row.key for row in await all_parked(read_db)] == ["a", "b", "a"]
            patient.broken_at = BROKEN + 1
            await system.synchronizer.retry("patient", every_key=True, by="ann")
            await until(lambda: failed_again(read_db))

            assert [(row.key, row.position) for row in await all_parked(read_db)] == [("a", last)]
            assert (await balance(system, "a"), await balance(system, "b")) == (BROKEN, BROKEN)
            acts = [(act.act, act.key, act.position, act.by) for act in await system.synchronizer.acts()]
            assert sorted(acts, key=str) == [("retry", "a", second - 1, "ann"), ("retry", "b", second, "ann")]

            patient.broken_at = None
            await system.synchronizer.retry("patient", every_key=True)
            await until(lambda: nothing_is_parked(read_db))
            with pytest.raises(NotFound, match="projection 'patient' has nothing parked"):
                await system.synchronizer.retry("patient", every_key=True)
            with pytest.raises(Misuse, match="a key or every_key, not both"):
                await system.synchronizer.retry("patient", "a", every_key=True)

    async def test_a_free_form_projection_parks_a_stream_and_what_it_wrote_is_undone(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        ledger = Ledger()
        system = System(event_store, read_db, ledger)
        await system.append(Paid(account="a", amount=BROKEN), stream="one")
        await system.append(Paid(account="b", amount=1), stream="two")
        last = await system.append(Paid(account="c", amount=1), stream="one")
        async with system.running():
            await until(lambda: is_at(system, last))
            assert await ledger_of(read_db) == ["b"]
            ledger.broken = False
            await system.synchronizer.retry("ledger", "one")
            await until(lambda: nothing_is_parked(read_db))
            assert await ledger_of(read_db) == ["b", "a", "c"]


class Repairing(ReadDatabaseCase):
    """What stands still is paused, retried and skipped from any process."""

    async def test_a_projection_that_stopped_is_retried_and_skipped_from_another_process(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        accounts = Accounts()
        accounts.broken_at = BROKEN
        system, elsewhere = System(event_store, read_db, accounts), System(event_store, read_db, Accounts, follow=False)
        await system.append(Opened(account="a", owner="ann"))
        first = await system.append(Paid(account="a", amount=BROKEN))
        second = await system.append(Paid(account="a", amount=5), Paid(account="a", amount=BROKEN))
        last = await system.append(Paid(account="a", amount=7))
        async with system.running():
            await until(lambda: is_faulted_at(elsewhere, first))
            for blank in ("", " \n"):
                with pytest.raises(Misuse, match="is blank"):
                    await elsewhere.synchronizer.skip("accounts", blank)
            skipped = await elsewhere.synchronizer.skip("accounts", "never happened", by="ann")
            assert skipped == (Skipped(first, "Paid"),)
            await until(lambda: is_faulted_at(elsewhere, second))
            accounts.broken_at = None
            await elsewhere.synchronizer.retry("accounts", by="bea")
            await system.reached("accounts", last)

            assert await system.row("a") == Account("a", "ann", 5 + BROKEN + 7, 3)
            acts = [(each.act, each.position, each.reason, each.by) for each in await elsewhere.synchronizer.acts()]
        assert acts == [("retry", second, None, "bea"), ("skip", first, "never happened", "ann")]

    async def test_what_did_not_stop_is_neither_retried_nor_skipped(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))
            with pytest.raises(NotStopped, match="'accounts' has not stopped"):
                await system.synchronizer.retry("accounts")
            with pytest.raises(NotStopped):
                await system.synchronizer.skip("accounts", "why not")
            with pytest.raises(NotFound, match="parked key 'a' does not exist"):
                await system.synchronizer.retry("accounts", "a")
            with pytest.raises(Misuse, match="is blank"):
                await system.synchronizer.skip("accounts", "", "a")
            assert await system.synchronizer.acts() == []

    async def test_a_projection_is_paused_and_resumed_from_another_process(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts, Owners)
        elsewhere = System(event_store, read_db, Accounts, Owners, follow=False)
        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))
            await elsewhere.synchronizer.pause("accounts")
            last = await system.append(Paid(account="a", amount=5))
            await system.reached("owners", last)
            reached = await elsewhere.synchronizer.wait_for("accounts", last, timeout=30)
            assert (reached.position, reached.reason) == (last - 1, "paused")

            await elsewhere.synchronizer.resume("accounts")
            await system.reached("accounts", last)
            assert (await system.row("a")).balance == 5

    async def test_an_event_that_can_not_be_upcast_is_parked_with_its_stream_and_applied_when_mended(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store = EventStore(event_store.store, Codec(Catalogue([*EVENTS, Weighed])))
        system = System(store, read_db, Weights, Accounts)
        await weighed(store, "one", 1, weight=1)
        await weighed(store, "two", 2, weight=2)
        await weighed(store, "one", 2, weight=3)
        last = await system.append(Opened(account="a", owner="ann"))
        async with system.running():
            await system.reached("accounts", last)
            await until(lambda: is_at(system, last))
            assert (await weight(system, Weights, "a")).log == " 2kg"
            assert [row.key for row in await all_parked(read_db)] == ["stream one", "a", "stream one"]

            monkeypatch.setattr(Scales, "is_mended", True)
            await system.synchronizer.retry("weights", "stream one")
            await until(lambda: nothing_is_parked(read_db))
            assert (await weight(system, Weights, "a")).log == " 2kg 1kg 3kg"

    async def test_an_event_of_newer_code_waits_for_a_worker_that_has_it(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        events = Catalogue([*EVENTS, Weighed])
        old = System(EventStore(event_store.store, Codec(events)), read_db, Weights, Accounts)
        new = System(EventStore(event_store.store, NewerCodec(events)), read_db, Weights, Accounts)
        await weighed(old.event_store, "one", 2, weight=1)
        last = await weighed(old.event_store, "one", 3, weight=2)
        async with old.running():
            reached = await old.synchronizer.wait_for("weights", last, timeout=30)
            assert (reached.position, reached.reason) == (last - 1, "needs newer code")
            await old.reached("accounts", last)
            assert await all_parked(read_db) == []
            async with new.running():
                await until(lambda: is_at(new, last))
                assert (await weight(new, Weights, "a")).log == " 1kg 2kg"


async def one_of_two_accounts_fails(event_store: EventStore, read_db: ReadDatabase) -> tuple[Patient, System, int, int]:
    """A log where a payment into account a fails, before others; the failing position, and the last."""
    patient = Patient()
    patient.broken_at = BROKEN
    system = System(event_store, read_db, patient)
    await system.append(Opened(account="a", owner="ann"), Opened(account="b", owner="bea"), Paid(account="a", amount=1))
    guilty = await system.append(Paid(account="a", amount=BROKEN))
    last = await system.append(Paid(account="a", amount=20), Paid(account="b", amount=7))
    return patient, system, guilty, last


async def balance(system: System, account: str) -> int:
    """What a patient projection knows of an account."""
    found: Account | None = await system.model(Patient).get(account)
    assert found is not None
    return found.balance


async def weight(system: System, kind: type, key: str) -> Weight:
    """A row that says in which order events were applied to it."""
    found: Weight | None = await system.model(kind).get(key)
    assert found is not None
    return found


async def all_parked(read_db: ReadDatabase) -> list[Parked]:
    """What is parked."""
    async with read_db.snapshot() as connection:
        return await parked.all_of(connection)


async def nothing_is_parked(read_db: ReadDatabase) -> bool:
    """Whether that is nothing."""
    return not await all_parked(read_db)


async def failed_again(read_db: ReadDatabase) -> bool:
    """Whether what was tried again is parked, with its error."""
    rows = await all_parked(read_db)
    return any(row.error and row.tries for row in rows) and not any(row.wanted for row in rows)


async def is_at(system: System, position: int) -> bool:
    """Whether every projection has come to a position."""
    statuses = await system.synchronizer.status()
    return bool(statuses) and all(status.checkpoint == position for status in statuses)


async def is_faulted_at(system: System, position: int) -> bool:
    """Whether a projection stands still there."""
    return any(status.error_position == position for status in await system.synchronizer.status())


async def ledger_of(read_db: ReadDatabase) -> list[str]:
    """The accounts of the ledger's lines, in order."""
    table = Table("ledger_v1", MetaData(), Column("id", BigInteger), Column("account", Text))
    async with read_db.acquire() as connection:
        return list((await connection.execute(select(table.c.account).order_by(table.c.id))).scalars())
