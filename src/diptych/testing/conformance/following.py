"""Projections of every kind, kept in step with a log."""

import asyncio
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, ClassVar

import msgspec
import pytest
from sqlalchemy import BigInteger, Column, MetaData, Numeric, Table, Text, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read.ask.consistency import asking
from diptych.read.ask.view import Gate, Views
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Generation
from diptych.read.db.database import ReadDatabase
from diptych.read.projections.columns import Key
from diptych.read.projections.projection import Projection, TableProjection, Transaction
from diptych.testing.conformance.accounts import (
    Account,
    Accounts,
    Closed,
    Journal,
    Opened,
    Other,
    Owners,
    Paid,
    System,
    Wealth,
)
from diptych.testing.conformance.case import until
from diptych.testing.conformance.read_case import ReadDatabaseCase


class Balances(TableProjection[dict[str, Any], Opened | Paid]):
    table: ClassVar[Table | None] = Table(
        "balances",
        MetaData(),
        Column("account", Text, primary_key=True),
        Column("balance", Numeric(12, 2), index=True),
        Column("owner", Text, info={"searched": True}),
    )

    def evolve(self, row: dict[str, Any] | None, event: RecordedEvent[Opened | Paid]) -> dict[str, Any] | None:
        match event.data:
            case Opened(account=account, owner=owner):
                return {"account": account, "balance": Decimal("0.00"), "owner": owner}
            case Paid(amount=amount):
                return row and row | {"balance": row["balance"] + amount}


class Slim(msgspec.Struct, frozen=True):
    account: Key[str]
    payments: int = 0


class SlimAccounts(TableProjection[Slim, Paid]):
    def evolve(self, row: Slim | None, event: RecordedEvent[Paid]) -> Slim | None:
        return Slim(event.data.account, row.payments + 1 if row else 1)


class InPlace(TableProjection[dict[str, Any], Paid]):
    table: ClassVar[Table | None] = Table(
        "in_place", MetaData(), Column("account", Text, primary_key=True), Column("total", BigInteger)
    )

    def evolve(self, row: dict[str, Any] | None, event: RecordedEvent[Paid]) -> dict[str, Any] | None:
        row = row or {"account": event.data.account, "total": 0}
        row["total"] += event.data.amount
        return row


@dataclass(frozen=True)
class Noted:
    account: Key[str]
    amounts: list[int]


class Notes(TableProjection[Noted, Paid]):
    """A frozen row that holds a list, which is not."""

    def evolve(self, row: Noted | None, event: RecordedEvent[Paid]) -> Noted | None:
        row = row or Noted(event.data.account, [])
        row.amounts.append(event.data.amount)
        return row


class Careless(Projection[Paid]):
    """Asks for a table that is not there, with a name that sounds like an outage."""

    async def apply(self, event: RecordedEvent[Paid], tx: Transaction) -> None:
        await tx.execute(text("SELECT * FROM connection"))


class Unclear(Projection[Paid]):
    async def apply(self, event: RecordedEvent[Paid], tx: Transaction) -> None: ...

    async def clear(self, tx: Transaction) -> None:
        raise RuntimeError("can't be cleared")


class Following(ReadDatabaseCase):
    """Every event has its effect once."""

    async def test_a_read_model_follows_the_log_row_by_row(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="a", owner="ann"), Paid(account="a", amount=5))

        async with system.running():
            await system.reached("accounts", await system.append(Paid(account="a", amount=7), Other()))

            assert await system.model(Accounts).get("a") == Account("a", "ann", 12, 2)

    async def test_a_row_goes_when_its_fold_returns_none(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        system = System(event_store, read_db, Accounts)

        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))
            await system.reached("accounts", await system.append(Closed(account="a")))
            assert await system.model(Accounts).get("a") is None

            again = await system.append(
                Opened(account="a", owner="bea"), Closed(account="a"), Opened(account="a", owner="cy")
            )
            await system.reached("accounts", again)
            assert await system.model(Accounts).get("a") == Account("a", "cy")

    async def test_rows_are_found_through_what_was_remembered(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Owners)
        await system.append(
            Opened(account="a", owner="ann"),
            Paid(account="a", amount=5),
            Opened(account="b", owner="ann"),
            Paid(account="b", amount=3),
        )

        async with system.running():
            await system.reached("owners", await system.append(Closed(account="a"), Paid(account="unknown", amount=9)))

            assert await system.model(Owners).get("ann") == Wealth("ann", 3, 1)

    async def test_rows_may_be_dicts_of_a_declared_table_or_structs(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Balances, SlimAccounts)

        async with system.running():
            last = await system.append(Opened(account="a", owner="Ann Lee"), Paid(account="a", amount=5))
            await system.reached("balances", last)
            await system.reached("slim_accounts", last)
            found = await system.model(Balances).page(where={"balance": Decimal(5)}, search="ann")

            assert found.items == [{"account": "a", "balance": Decimal("5.00"), "owner": "Ann Lee"}]
            assert await system.model(SlimAccounts).get("a") == Slim("a", 1)

    async def test_a_dict_may_be_changed_in_place(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        system = System(event_store, read_db, InPlace)

        async with system.running():
            for _ in range(3):
                paid = [Paid(account="a", amount=1), Paid(account="a", amount=2)]
                await system.reached("in_place", await system.append(*paid))

            assert await system.model(InPlace).get("a") == {"account": "a", "total": 9}

    async def test_what_a_row_holds_may_be_changed_in_place(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Notes)

        async with system.running():
            for amount in (1, 2, 3):
                await system.reached("notes", await system.append(Paid(account="a", amount=amount)))

            assert await system.model(Notes).get("a") == Noted("a", [1, 2, 3])

    async def test_a_free_form_projection_writes_its_own_tables(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Journal)
        views: Views[Journal] = Views(Journal(), Gate(read_db, Journal(), system.synchronizer.watcher))

        async with system.running():
            last = await system.append(
                Paid(account="a", amount=1), Opened(account="b", owner="x"), Paid(account="b", amount=2)
            )
            await system.reached("journal", last)
            async with views.snapshot() as view:
                rows = (await view.connection.execute(select(view.table("journal").c.account))).scalars().all()

        assert sorted(rows) == ["a", "b"]
        assert view.position == last

    async def test_a_restart_applies_nothing_twice(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        last = 0
        for round_ in range(3):
            system = System(event_store, read_db, Accounts)
            async with system.running():
                if not round_:
                    await system.append(Opened(account="a", owner="ann"))
                last = await system.append(Paid(account="a", amount=1))
                await system.reached("accounts", last)

        assert (await System(event_store, read_db, Accounts).row("a")).payments == 3

    async def test_two_synchronizers_on_one_database_apply_everything_once(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        one, two = System(event_store, read_db, Accounts), System(event_store, read_db, Accounts)

        async with one.running(), two.running():
            last = await one.append(Opened(account="a", owner="ann"))
            for _ in range(20):
                last = await one.append(Paid(account="a", amount=1))
            await one.reached("accounts", last)
            await two.reached("accounts", last)

        assert await one.model(Accounts).get("a") == Account("a", "ann", 20, 20)


class Failing(ReadDatabaseCase):
    """An error stops its own projection."""

    async def test_a_failing_event_stops_only_its_own_projection_and_is_retried(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        accounts = Accounts()
        accounts.broken_at = 13
        system = System(event_store, read_db, accounts, Owners)
        await system.append(Opened(account="a", owner="ann"), *(Paid(account="a", amount=1) for _ in range(30)))
        guilty = await system.append(Paid(account="a", amount=13))
        last = await system.append(Paid(account="a", amount=1))

        async with system.running():
            await system.reached("owners", last)
            reached = await system.synchronizer.wait_for("accounts", last, timeout=20)
            status = next(each for each in await system.synchronizer.status() if each.name == "accounts")

            assert (reached.stale, reached.reason) == (True, "faulted")
            assert (status.state, status.error_position) == ("faulted", guilty)
            assert status.error is not None
            assert "a bug in evolve" in status.error
            assert status.since is not None
            assert (await system.row("a")).balance == 30  # what precedes it is there

            accounts.broken_at = None
            await system.synchronizer.retry("accounts")
            await system.reached("accounts", last)
            assert await system.model(Accounts).get("a") == Account("a", "ann", 44, 32)

    async def test_a_failure_is_told_though_what_precedes_it_can_not_be_served(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def fails(connection: AsyncConnection, of: Generation) -> None:
            raise RuntimeError("can't be served")

        monkeypatch.setattr(checkpoint, "serve_first", fails)
        accounts = Accounts()
        accounts.broken_at = 13
        system = System(event_store, read_db, accounts)
        guilty = await system.append(Opened(account="a", owner="ann"), Paid(account="a", amount=13))

        async with system.running():
            await until(lambda: system.is_in("faulted"))
            [status] = await system.synchronizer.status()

        assert (status.error, status.error_position) == ("RuntimeError: a bug in evolve", guilty)

    async def test_a_wrong_statement_is_no_outage_whatever_it_names(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Careless)
        last = await system.append(Paid(account="a", amount=1))

        async with system.running():
            reached = await system.synchronizer.wait_for("careless", last, timeout=30)

        assert (reached.stale, reached.reason) == (True, "faulted")

    async def test_a_projection_that_can_not_begin_stops_only_itself(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Unclear, Accounts)

        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))
            states = {status.name: (status.state, status.error) for status in await system.synchronizer.status()}

        assert states == {"accounts": ("running", None), "unclear": ("faulted", "RuntimeError: can't be cleared")}


class Catching(ReadDatabaseCase):
    """A wait ends with the truth."""

    async def test_a_wait_ends_with_the_truth(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        system = System(event_store, read_db, Accounts)

        async with system.running():
            last = await system.append(Opened(account="a", owner="ann"))
            await system.reached("accounts", last)
            reached = await system.synchronizer.wait_for("accounts", last + 1000, timeout=0.2)

        assert (reached.stale, reached.reason) == (True, "timeout")
        assert reached.position <= last

    async def test_many_wait_at_once(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        system = System(event_store, read_db, Accounts)

        async with system.running():
            await system.reached("accounts", 0)
            target = (await event_store.head()) + 1
            waits = [
                asyncio.create_task(system.synchronizer.wait_for("accounts", target, timeout=30)) for _ in range(2000)
            ]
            await system.append(Opened(account="a", owner="ann"))
            all_reached = await asyncio.gather(*waits)

        assert {each.stale for each in all_reached} == {False}

    async def test_who_follows_nothing_waits_for_those_who_do(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        worker, reader = System(event_store, read_db, Accounts), System(event_store, read_db, Accounts)

        async def read_at(position: int) -> Account:
            with asking(position, 60):
                return await reader.row("a")

        async with worker.running():
            last = await worker.append(Opened(account="a", owner="ann"))
            await worker.reached("accounts", last)
            reading = asyncio.create_task(read_at(last + 1))
            await asyncio.sleep(0)
            await worker.append(Paid(account="a", amount=5))

            assert (await reading).balance == 5
