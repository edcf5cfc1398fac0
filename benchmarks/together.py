"""
Two projections that catch up together, beside the same two one after the other.

They share that the log is read and each event decoded once. The first pair is that of the Orders
example, whose own work is several times that; the second one does next to nothing with an event, which
shows what sharing saves at most.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from decimal import Decimal
from time import perf_counter
from typing import TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from benchmarks.compare import Result, compare
from diptych import EventStore, Key, ReadModelSynchronizer, RecordedEvent, TableProjection, open_read_db
from diptych.read.projections.projection import AnyProjection
from orders.events import ItemAdded, OrderPlaced, OrderShipped
from orders.values import total
from orders.views import Orders, SalesByDay

NewRead: TypeAlias = Callable[[], AbstractContextManager[str]]
"""Lends the URL of an empty read database."""


class Length(Struct, frozen=True):
    """How many events an order has."""

    order_id: Key[str]
    events: int


class Lengths(TableProjection[Length, OrderPlaced | ItemAdded | OrderShipped]):
    """The length of each order."""

    def evolve(self, row: Length | None, event: RecordedEvent[OrderPlaced | ItemAdded | OrderShipped]) -> Length:
        """One more."""
        return replace(row, events=row.events + 1) if row else Length(event.data.order_id, 1)


class Amount(Struct, frozen=True):
    """What an order costs."""

    order_id: Key[str]
    amount: Decimal


class Amounts(TableProjection[Amount, OrderPlaced | ItemAdded]):
    """The amount of each order."""

    def evolve(self, row: Amount | None, event: RecordedEvent[OrderPlaced | ItemAdded]) -> Amount:
        """As much more as was ordered."""
        match event.data:
            case OrderPlaced(order_id=order_id, lines=lines):
                return Amount(order_id, total(lines))
            case ItemAdded(order_id=order_id, line=line):
                return Amount(order_id, line.amount + (row.amount if row else Decimal(0)))


async def together(name: str, event_store: EventStore, new_read: NewRead) -> list[Result]:
    """Events a second, through both of each pair."""
    return [
        await _pair(name, event_store, new_read, [Orders, SalesByDay]),
        await _pair(f"{name}-light", event_store, new_read, [Lengths, Amounts]),
    ]


async def _pair(
    name: str, event_store: EventStore, new_read: NewRead, projections: Sequence[type[AnyProjection]]
) -> Result:
    async def at_once() -> float:
        with new_read() as read:
            return await caught_up(event_store, read, projections)

    async def by_turns() -> float:
        rates: list[float] = []
        for each in projections:
            with new_read() as read:
                rates.append(await caught_up(event_store, read, [each]))
        return 1 / sum(1 / rate for rate in rates)

    return await compare(name, at_once, by_turns, unit="events/s")


async def caught_up(event_store: EventStore, read: str, projections: Sequence[type[AnyProjection]]) -> float:
    """Events a second, from an empty read database to the head of the log."""
    head = await event_store.head()
    async with open_read_db(read) as read_db:
        synchronizer = ReadModelSynchronizer(event_store, read_db, projections)
        began = perf_counter()
        running = asyncio.create_task(synchronizer.run())
        for each in projections:
            if (reached := await synchronizer.wait_for(each.name, head, timeout=600)).stale:
                raise RuntimeError(f"did not catch up: {reached}")
        took = perf_counter() - began
        synchronizer.stop()
        await running
    return head / took
