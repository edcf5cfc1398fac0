"""A row folded when it is asked for is the row that is kept, now and as of any place in the log."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, String, Table
from typing_extensions import override

from diptych import (
    BadProjection,
    Diptych,
    Event,
    EventStore,
    Key,
    Live,
    LogRewound,
    Misuse,
    Projection,
    Query,
    QueryBus,
    ReadModelSynchronizer,
    RecordedEvent,
    TableProjection,
    Transaction,
    TwoRoundProjection,
    Unreadable,
    open_read_db,
    open_store,
)
from diptych.catalogue import Catalogue
from diptych.codec import Codec
from diptych.store.memory import MemoryStore
from diptych.store.port import Append, NewEvent, StreamAppend
from diptych.testing import in_process


class Opened(Event):
    account: str
    day: date


class Paid(Event):
    account: str
    to: str
    amount: int


class Closed(Event):
    account: str


@dataclass(frozen=True)
class Balance:
    account: Key[str]
    amount: int = 0


class Balances(TableProjection[Balance, Opened | Paid | Closed]):
    """Rows that other streams touch, too."""

    def keys(self, event: RecordedEvent[Opened | Paid | Closed]) -> Iterable[str]:
        data = event.data
        return (data.account, data.to) if isinstance(data, Paid) else (data.account,)

    def evolve(self, row: Balance | None, event: RecordedEvent[Opened | Paid | Closed]) -> Balance | None:
        match event.data:
            case Opened(account=account):
                return Balance(account)
            case Paid(to=to, amount=amount):
                return row and Balance(row.account, row.amount + (amount if row.account == to else -amount))
            case Closed():
                return None


@dataclass(frozen=True)
class Account:
    account: Key[str]
    day: date


@dataclass(frozen=True)
class Day:
    day: Key[date]
    paid: int = 0


class Days(TwoRoundProjection[Account, Day, Opened | Paid | Closed]):
    """What the accounts of a day paid."""

    def remember(self, memo: Account | None, event: RecordedEvent[Opened | Paid | Closed]) -> Account | None:
        match event.data:
            case Opened(account=account, day=day):
                return Account(account, day)
            case Closed():
                return None
        return memo

    def keys(self, event: RecordedEvent[Opened | Paid | Closed], memo: Account) -> Iterable[date]:
        return (memo.day,)

    def evolve(self, row: Day | None, event: RecordedEvent[Opened | Paid | Closed], memo: Account) -> Day | None:
        amount = event.data.amount if isinstance(event.data, Paid) else 1000 if isinstance(event.data, Closed) else 0
        return Day(memo.day, (row.paid if row else 0) + amount)


class Free(Projection[Opened]):
    tables = (Table("free", MetaData(), Column("account", String, primary_key=True)),)

    async def apply(self, event: RecordedEvent[Opened], tx: Transaction) -> None:
        await tx.execute(tx.table("free").insert().values(account=event.data.account))


ONE, TWO = date(2026, 1, 1), date(2026, 1, 2)
EVENTS = [
    Opened(account="a", day=ONE),
    Opened(account="b", day=TWO),
    Paid(account="a", to="b", amount=5),
    Paid(account="b", to="c", amount=1),
    Opened(account="c", day=ONE),
    Paid(account="c", to="a", amount=7),
    Closed(account="b"),
    Paid(account="a", to="b", amount=2),
    Opened(account="b", day=ONE),
]


@pytest.fixture
async def event_store(tmp_path: Path) -> AsyncIterator[EventStore]:
    async with open_store(f"sqlite:///{tmp_path}/log.db", [Opened, Paid, Closed]) as event_store:
        for event in EVENTS:
            name = event.account if isinstance(event, Opened | Paid | Closed) else ""
            await event_store.append_events(stream_id=f"Account-{name}", stream_type="Account", events=[event])
        yield event_store


@pytest.mark.parametrize("through", range(1, len(EVENTS) + 1))
async def test_a_row_is_what_a_read_model_keeps_at_that_position(
    event_store: EventStore, tmp_path: Path, through: int
) -> None:
    prefix = f"sqlite:///{tmp_path}/prefix.db"
    async with open_store(prefix, [Opened, Paid, Closed]) as short, open_read_db("sqlite:///:memory:") as read_db:
        await short.store.put((await event_store.store.read(0, limit=through)).events)
        kept = await rows_of(short, read_db)

    for projection, keys in ((Balances, "abcd"), (Days, (ONE, TWO, date(2026, 1, 3)))):
        live = Live[Any](event_store, projection)
        assert {key: await live.get(key, at=through) for key in keys} == {key: kept.get(key) for key in keys}


async def rows_of(event_store: EventStore, read_db: Any) -> dict[Any, Any]:
    """What the projections keep once they have caught up."""
    import asyncio

    from diptych.read.ask.model import ReadModel
    from diptych.read.ask.view import Gate, ServedTable

    synchronizer = ReadModelSynchronizer(event_store, read_db, [Balances, Days])
    running = asyncio.create_task(synchronizer.run())
    found: dict[Any, Any] = {}
    for projection in (Balances(), Days()):
        await synchronizer.wait_for(projection.name, await event_store.head(), 30)
        model = ReadModel[Any](ServedTable(projection, Gate(read_db, projection, synchronizer.watcher)))
        found |= {projection.shape().key_of(row): row for row in (await model.page()).items}
    synchronizer.stop()
    await running
    return found


async def test_a_row_is_folded_up_to_now_unless_a_place_is_named(event_store: EventStore) -> None:
    live = Live[Balance](event_store, Balances)

    assert await live.get("a") == Balance("a", 0)
    assert await live.get("a", at=3) == Balance("a", -5)
    assert await live.get("a", at=10**9) == Balance("a", 0)
    assert await live.get("a", at=0) is None


async def test_the_events_of_one_stream_are_enough_where_no_others_touch_the_row(event_store: EventStore) -> None:
    live = Live[Balance](event_store, Balances)

    assert await live.get("a", stream_id="Account-a") == Balance("a", -7)
    assert await live.get("a", stream_id="Account-b") is None
    assert await live.get("a", stream_id="Account-a", at=3) == Balance("a", -5)


async def test_a_time_names_what_was_recorded_by_then(event_store: EventStore) -> None:
    times = [event.recorded_at for event in await event_store.read_all()]
    live = Live[Balance](event_store, Balances)

    for time in times:
        by_then = max(place for place, recorded in enumerate(times, 1) if recorded <= time)
        assert await live.get("a", at=time) == await live.get("a", at=by_then)
    assert await live.get("a", at=times[0] - timedelta(microseconds=1)) is None


async def test_a_key_that_no_column_can_hold_has_no_row(event_store: EventStore) -> None:
    assert await Live[Day](event_store, Days).get("no day") is None
    assert await Live[Day](event_store, Days).get("2026-01-02") == await Live[Day](event_store, Days).get(TWO)


@pytest.mark.parametrize("at", [-1, True, 1.5, datetime(2026, 1, 1)])  # noqa: DTZ001
async def test_what_is_no_place_in_a_log_is_refused(event_store: EventStore, at: Any) -> None:
    with pytest.raises(Misuse):
        await Live[Balance](event_store, Balances).get("a", at=at)


async def test_what_a_free_form_projection_does_can_not_be_folded(event_store: EventStore) -> None:
    with pytest.raises(BadProjection, match="free-form"):
        Live(event_store, Free)


async def test_an_event_that_can_not_be_read_is_never_passed_over(event_store: EventStore) -> None:
    broken = NewEvent("broken", "Opened", 1, b'{"account": 5}', b"{}")
    await event_store.store.append(Append("broken", [StreamAppend("Account-x", "Account", 0, [broken])]))

    with pytest.raises(Unreadable):
        await Live[Balance](event_store, Balances).get("a")
    assert await Live[Balance](event_store, Balances).get("a", at=len(EVENTS)) == Balance("a", 0)


async def test_a_place_is_asked_of_the_log_by_time(event_store: EventStore) -> None:
    assert await event_store.position_at(datetime.now(UTC) + timedelta(days=1)) == len(EVENTS)
    assert await event_store.position_at(datetime(2000, 1, 1, tzinfo=UTC)) == 0


class BalanceOf(Query[Balance | None]):
    account: str


async def test_a_handler_is_given_rows_that_are_folded_when_they_are_asked_for(event_store: EventStore) -> None:
    queries = QueryBus()

    @queries.handler
    async def balance_of(query: BalanceOf, balances: Live[Balance]) -> Balance | None:
        return await balances.get(query.account)

    async with in_process(Diptych((), queries, projections=[Balances])) as running:
        await running.event_store.append_events(stream_id="Account-a", stream_type="Account", events=EVENTS[:3])
        assert (await running.ask(BalanceOf(account="a"))).data == Balance("a", -5)
        assert (await running.ask(BalanceOf(account="z"))).data is None


class GoingBack(MemoryStore):
    """A log that is put back right behind the answer where it ends."""

    @override
    async def head(self) -> int:
        head = await super().head()
        self._events.pop()
        return head


async def test_a_log_that_goes_back_while_a_row_is_folded_is_told() -> None:
    event_store = EventStore(GoingBack(), Codec(Catalogue([Opened, Paid, Closed])))
    for account in "ab":
        event = Opened(account=account, day=date(2026, 1, 1))
        await event_store.append_events(stream_id=account, stream_type="Account", events=[event])

    with pytest.raises(LogRewound, match="it went back meanwhile; begin again"):
        await asyncio.wait_for(Live(event_store, Balances).get("a"), 60)
