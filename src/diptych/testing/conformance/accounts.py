"""Accounts that are opened, paid into and closed, and what keeps their read models in step."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from sqlalchemy import BigInteger, Column, MetaData, Table, Text

from diptych.event import Event, RecordedEvent
from diptych.log import EventStore
from diptych.read.ask.model import ReadModel
from diptych.read.ask.view import Gate, ServedTable
from diptych.read.db.database import ReadDatabase
from diptych.read.projections.columns import Key
from diptych.read.projections.projection import (
    AnyProjection,
    Projection,
    TableProjection,
    Transaction,
    TwoRoundProjection,
    checked,
)
from diptych.read.synchronizer import ReadModelSynchronizer


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


EVENTS: list[type[Event]] = [Opened, Paid, Closed, Other]
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
    tables: ClassVar[Sequence[Table]] = (
        Table("journal", MetaData(), Column("id", BigInteger, primary_key=True), Column("account", Text, index=True)),
    )

    async def apply(self, event: RecordedEvent[Paid], tx: Transaction) -> None:
        await tx.execute(tx.table("journal").insert(), {"id": event.global_position, "account": event.data.account})


class System:
    def __init__(self, event_store: EventStore, read_db: ReadDatabase, *projections: Any, follow: bool = True) -> None:
        self.event_store: EventStore = event_store
        self.read_db: ReadDatabase = read_db
        self.projections: list[AnyProjection] = [checked(projection) for projection in projections]
        self.synchronizer: ReadModelSynchronizer = ReadModelSynchronizer(
            event_store, read_db, self.projections, follow=follow
        )

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
            await asyncio.wait_for(task, 60)

    async def is_in(self, state: str) -> bool:
        """Whether one of the projections is in a state."""
        return state in {status.state for status in await self.synchronizer.status()}

    async def owned_by_somebody(self) -> bool:
        """Whether all that is there has an owner."""
        return all(status.owner for status in await self.synchronizer.status())

    async def generations(self) -> list[tuple[int, bool]]:
        """The builds that are there, and which of them is served."""
        return [(status.generation, status.served) for status in await self.synchronizer.status()]

    async def served(self) -> list[int]:
        """The builds that are served."""
        return [generation for generation, served in await self.generations() if served]

    async def reached(self, name: str, position: int) -> None:
        reached = await self.synchronizer.wait_for(name, position, timeout=30)
        assert not reached.stale, (reached, await self.synchronizer.status())
