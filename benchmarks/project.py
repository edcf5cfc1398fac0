"""
Catching up with Orders events, decoded and folded: the engine beside the loop that guides show.

The other side reads 100 events at a time on one held connection, writes each with a statement
that commits by itself, then the checkpoint; the disk is synced as often as that asks for.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import apsw
import msgspec

from benchmarks.compare import Result, compare
from diptych import Event, EventStore, ReadModelSynchronizer, ToStream, open_read_db, open_store
from diptych.read.projection import AnyProjection
from orders.events import ItemAdded, OrderPlaced, OrderShipped
from orders.values import Address, Line
from orders.views import Orders

EVENT_TYPES: list[type[Event]] = [OrderPlaced, ItemAdded, OrderShipped]
EVENTS = 200_000
GUIDE_EVENTS = 3_000
PER_ORDER, PER_APPEND, PER_READ = 10, 100, 100
LINE = Line(product_id="11", product_name="Queso Cabrales", quantity=2, price=Decimal("14.00"))
UPSERT = """
INSERT INTO orders (order_id, customer_id, status, total, lines) VALUES (:order_id, :customer_id, :status, :total, 1)
ON CONFLICT (order_id) DO UPDATE SET status = excluded.status, total = total + excluded.total, lines = lines + 1
"""


async def run(scale: float) -> list[Result]:
    """Events a second."""
    with TemporaryDirectory() as folder:
        log = Path(folder) / "log.db"
        async with open_store(f"sqlite:///{log}", EVENT_TYPES) as event_store:
            await fill(event_store, int(EVENTS * scale))
            return [await _row(event_store, log, Path(folder), int(GUIDE_EVENTS * scale))]


async def fill(event_store: EventStore, events: int) -> None:
    """Orders of ten events each: placed, eight lines more, shipped."""
    for first in range(0, events // PER_ORDER, PER_APPEND):
        orders = range(first, min(first + PER_APPEND, events // PER_ORDER))
        await event_store.append([ToStream(f"Order-{number}", "Order", _life_of(str(number))) for number in orders])


def _life_of(order_id: str) -> list[Event]:
    placed = OrderPlaced(
        order_id=order_id,
        customer_id=f"customer-{int(order_id) % 100}",
        lines=(LINE,),
        shipping_address=Address(name="Ann Lee", street="Main Street 1", city="Berlin", country="Germany"),
        ordered_on=date(2026, 1, 1),
    )
    added = [ItemAdded(order_id=order_id, line=LINE) for _ in range(PER_ORDER - 2)]
    return [placed, *added, OrderShipped(order_id=order_id, shipped_on=date(2026, 1, 2))]


async def _row(event_store: EventStore, log: Path, folder: Path, guide_events: int) -> Result:
    async def ours() -> float:
        with _new_file(folder / "ours.db") as path:
            return await caught_up(event_store, f"sqlite:///{path}", [Orders])

    async def theirs() -> float:
        with _new_file(folder / "theirs.db") as path:
            return await asyncio.to_thread(_guide, log, path, guide_events)

    return await compare("project/guide", ours, theirs, unit="events/s")


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


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()
    yield path


def _guide(log: Path, path: Path, events: int) -> float:
    source, target = apsw.Connection(str(log)), apsw.Connection(str(path))
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        target.execute(f"PRAGMA {pragma}").fetchall()
    target.execute("CREATE TABLE orders (order_id TEXT PRIMARY KEY, customer_id TEXT, status TEXT, total, lines)")
    target.execute("CREATE TABLE checkpoint (name TEXT PRIMARY KEY, position INTEGER)")
    began, position = perf_counter(), 0
    while position < events:
        rows: list[Any] = source.execute(
            "SELECT position, type, payload FROM event WHERE position > ? ORDER BY position LIMIT ?",
            (position, PER_READ),
        ).fetchall()
        for position, type, payload in rows:  # noqa: B007  # the last one is the checkpoint
            target.execute(UPSERT, effect(type, msgspec.json.decode(payload)))
        target.execute("INSERT OR REPLACE INTO checkpoint VALUES ('orders', ?)", (position,))
    rate = position / (perf_counter() - began)
    source.close()
    target.close()
    return rate


def effect(type: str, data: dict[str, object]) -> dict[str, object]:
    """What an event changes, as guides write it."""
    status = "shipped" if type == "OrderShipped" else "pending"
    return {"order_id": data["order_id"], "customer_id": data.get("customer_id"), "status": status, "total": 28}
