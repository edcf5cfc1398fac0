import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import BigInteger, Column, MetaData, Numeric, Table, Text, select

from diptych.errors import BadProjection, NoProjection
from diptych.event import Event, RecordedEvent
from diptych.log import EventStore, open_store
from diptych.read.columns import Key
from diptych.read.database import ReadDatabase, open_read_db
from diptych.read.model import ReadModel
from diptych.read.projection import Projection, TableProjection, Transaction, TwoRoundProjection, checked
from diptych.read.synchronizer import ReadModelSynchronizer
from diptych.read.view import Gate, ServedTable, Views


class Opened(Event):
    account: str
    owner: str


class Paid(Event):
    account: str
    amount: int


class Closed(Event):
    account: str


class Other(Event):
    pass


AccountEvent = Opened | Paid | Closed


@dataclass(frozen=True)
class Account:
    account: Key[str]
    owner: str
    balance: int = 0
    payments: int = 0


class Accounts(TableProjection[Account, AccountEvent]):
    broken_at: int | None = None

    def evolve(self, row: Account | None, event: RecordedEvent[AccountEvent]) -> Account | None:
        match event.data:
            case Opened(account=account, owner=owner):
                return Account(account, owner)
            case Paid(amount=amount):
                if amount == self.broken_at:
                    raise RuntimeError("a bug in evolve")
                return row and replace(row, balance=row.balance + amount, payments=row.payments + 1)
            case Closed():
                return None


@dataclass(frozen=True)
class OwnerOf:
    account: Key[str]
    owner: str
    balance: int = 0


@dataclass(frozen=True)
class Wealth:
    owner: Key[str]
    balance: int
    accounts: int


class Owners(TwoRoundProjection[OwnerOf, Wealth, AccountEvent]):
    def remember(self, memo: OwnerOf | None, event: RecordedEvent[AccountEvent]) -> OwnerOf | None:
        match event.data:
            case Opened(account=account, owner=owner):
                return OwnerOf(account, owner)
            case Paid(amount=amount):
                return memo and replace(memo, balance=memo.balance + amount)
            case Closed():
                return None

    def keys(self, event: RecordedEvent[AccountEvent], memo: OwnerOf) -> Iterable[str]:
        return (memo.owner,)

    def evolve(self, row: Wealth | None, event: RecordedEvent[AccountEvent], memo: OwnerOf) -> Wealth | None:
        row = row or Wealth(memo.owner, 0, 0)
        match event.data:
            case Opened():
                return replace(row, accounts=row.accounts + 1)
            case Paid(amount=amount):
                return replace(row, balance=row.balance + amount)
            case Closed():
                return replace(row, accounts=row.accounts - 1, balance=row.balance - memo.balance)


class Journal(Projection[Paid]):
    tables = (
        Table("journal", MetaData(), Column("id", BigInteger, primary_key=True), Column("account", Text, index=True)),
    )

    async def apply(self, event: RecordedEvent[Paid], tx: Transaction) -> None:
        await tx.execute(tx.table("journal").insert(), {"id": event.global_position, "account": event.data.account})


class System:
    def __init__(self, event_store: EventStore, read_db: ReadDatabase, *projections: Any) -> None:
        self.event_store, self.read_db = event_store, read_db
        self.projections = [checked(projection) for projection in projections]
        self.synchronizer = ReadModelSynchronizer(event_store, read_db, self.projections)

    async def append(self, *events: Event, stream: str = "s") -> int:
        appended = await self.event_store.append_events(stream_id=stream, stream_type="S", events=events)
        return appended.position

    def model(self, kind: type) -> ReadModel[Any]:
        projection: Any = next(each for each in self.projections if type(each) is kind)
        return ReadModel(ServedTable(projection, Gate(self.read_db, projection, self.synchronizer.watcher)))

    async def row(self, key: str) -> Account:
        found: Account | None = await self.model(Accounts).get(key)
        assert found is not None
        return found

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.synchronizer.run())
        try:
            yield
        finally:
            self.synchronizer.stop()
            await asyncio.wait_for(task, 10)

    async def reached(self, name: str, position: int) -> None:
        reached = await self.synchronizer.wait_for(name, position, timeout=30)
        assert not reached.stale, (reached, await self.synchronizer.status())


@pytest.fixture
async def event_store() -> AsyncIterator[EventStore]:
    async with open_store("memory://", events=[Opened, Paid, Closed, Other]) as event_store:
        yield event_store


@pytest.fixture
async def read_db(tmp_path: Path) -> AsyncIterator[ReadDatabase]:
    async with open_read_db(f"sqlite:///{tmp_path}/read.db") as read_db:
        yield read_db


async def eventually(condition: Callable[[], Awaitable[bool]], deadline_s: float = 10) -> None:
    async with asyncio.timeout(deadline_s):
        while not await condition():
            await asyncio.sleep(0)


async def test_a_read_model_follows_the_log_row_by_row(event_store: EventStore, read_db: ReadDatabase) -> None:
    system = System(event_store, read_db, Accounts)
    await system.append(Opened(account="a", owner="ann"), Paid(account="a", amount=5))

    async with system.running():
        await system.reached("accounts", await system.append(Paid(account="a", amount=7), Other()))

        assert await system.model(Accounts).get("a") == Account("a", "ann", 12, 2)


async def test_a_row_goes_when_its_fold_returns_none(event_store: EventStore, read_db: ReadDatabase) -> None:
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


async def test_rows_are_found_through_what_was_remembered(event_store: EventStore, read_db: ReadDatabase) -> None:
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


class Balances(TableProjection[dict[str, Any], Opened | Paid]):
    table = Table(
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


async def test_rows_may_be_dicts_of_a_declared_table_or_structs(event_store: EventStore, read_db: ReadDatabase) -> None:
    system = System(event_store, read_db, Balances, SlimAccounts)

    async with system.running():
        last = await system.append(Opened(account="a", owner="Ann Lee"), Paid(account="a", amount=5))
        await system.reached("balances", last)
        await system.reached("slim_accounts", last)
        found = await system.model(Balances).page(where={"balance": Decimal(5)}, search="ann")

        assert found.items == [{"account": "a", "balance": Decimal("5.00"), "owner": "Ann Lee"}]
        assert await system.model(SlimAccounts).get("a") == Slim("a", 1)


async def test_a_free_form_projection_writes_its_own_tables(event_store: EventStore, read_db: ReadDatabase) -> None:
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


async def test_a_restart_applies_nothing_twice(event_store: EventStore, read_db: ReadDatabase) -> None:
    last = 0
    for round_ in range(3):
        system = System(event_store, read_db, Accounts)
        async with system.running():
            if not round_:
                await system.append(Opened(account="a", owner="ann"))
            last = await system.append(Paid(account="a", amount=1))
            await system.reached("accounts", last)

    assert (await System(event_store, read_db, Accounts).row("a")).payments == 3


async def test_a_failing_event_stops_only_its_own_projection_and_is_retried(
    event_store: EventStore, read_db: ReadDatabase
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


async def test_a_rebuild_never_empties_what_is_served(event_store: EventStore, read_db: ReadDatabase) -> None:
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
        assert [(s.generation, s.served) for s in await system.synchronizer.status()] == [(2, True)]


async def test_a_rebuild_that_fails_leaves_the_served_version(event_store: EventStore, read_db: ReadDatabase) -> None:
    accounts = Accounts()
    system = System(event_store, read_db, accounts)

    async with system.running():
        last = await system.append(Opened(account="a", owner="ann"), Paid(account="a", amount=2))
        await system.reached("accounts", last)
        accounts.broken_at = 2
        with pytest.raises(RuntimeError, match="a bug in evolve"):
            await system.synchronizer.rebuild_projection("accounts")

        assert (await system.row("a")).balance == 2
        assert len(await system.synchronizer.status()) == 1


async def test_a_wait_ends_with_the_truth(event_store: EventStore, read_db: ReadDatabase) -> None:
    system = System(event_store, read_db, Accounts)

    async with system.running():
        last = await system.append(Opened(account="a", owner="ann"))
        reached = await system.synchronizer.wait_for("accounts", last + 1000, timeout=0.2)

    assert (reached.stale, reached.reason) == (True, "timeout")
    assert reached.position <= last


async def test_many_wait_at_once(event_store: EventStore, read_db: ReadDatabase) -> None:
    system = System(event_store, read_db, Accounts)

    async with system.running():
        await system.reached("accounts", 0)
        target = (await event_store.head()) + 1
        waits = [asyncio.create_task(system.synchronizer.wait_for("accounts", target, timeout=30)) for _ in range(2000)]
        await system.append(Opened(account="a", owner="ann"))
        all_reached = await asyncio.gather(*waits)

    assert {each.stale for each in all_reached} == {False}


async def test_two_synchronizers_on_one_database_apply_everything_once(
    event_store: EventStore, read_db: ReadDatabase
) -> None:
    one, two = System(event_store, read_db, Accounts), System(event_store, read_db, Accounts)

    async with one.running(), two.running():
        last = await one.append(Opened(account="a", owner="ann"))
        for _ in range(20):
            last = await one.append(Paid(account="a", amount=1))
        await one.reached("accounts", last)
        await two.reached("accounts", last)

    assert await one.model(Accounts).get("a") == Account("a", "ann", 20, 20)


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
