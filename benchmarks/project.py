"""
Catching up with Orders events, decoded and folded: the engine beside the loop that guides show.

The other side reads 100 events at a time on one held connection, writes each with a statement
that commits by itself, then the checkpoint; the disk is synced as often as that asks for. It
ends with the same rows, columns and indexes, but for those of the search.

Beside that, two projections that catch up together, and the same two one after the other.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import apsw
import msgspec

from benchmarks.compare import Result, Side, compare
from benchmarks.together import NewRead, caught_up, together
from diptych import Event, EventStore, ToStream, open_store
from orders.events import ItemAdded, OrderPlaced, OrderShipped
from orders.values import Address, Line
from orders.views import Orders

EVENT_TYPES: list[type[Event]] = [OrderPlaced, ItemAdded, OrderShipped]
EVENTS = 200_000
GUIDE_EVENTS = 3_000
PER_ORDER, PER_APPEND, PER_READ = 10, 100, 100
LINE = Line(product_id="11", product_name="Queso Cabrales", quantity=2, price=Decimal("14.00"))
COLUMNS = (
    "order_id text PRIMARY KEY, customer_id text, status text, total_amount {amount}, item_count integer, "
    "created_at {instant}, ordered_on {day}, shipped_on {day}, products text, ship_to text, shipping_address {json}, "
    "lines {json}, version integer"
)
INDEXED = ("customer_id", "status", "total_amount", "created_at", "ordered_on")
PLACED = (
    "INSERT INTO guide_orders VALUES "
    "({0}, {1}, 'pending', {2}, {3}, {4}, {5}, NULL, {6}, {7}, {8}, {9}, 1) ON CONFLICT DO NOTHING"
)
ADDED = (
    "UPDATE guide_orders SET lines = {append}, item_count = item_count + 1, total_amount = total_amount + {1}, "
    "products = products || ', ' || {2}, version = {3} WHERE order_id = {4}"
)
SHIPPED = "UPDATE guide_orders SET status = 'shipped', shipped_on = {0}, version = {1} WHERE order_id = {2}"
CHECKPOINT = (
    "INSERT INTO guide_checkpoint (name, position) VALUES ('orders', {0}) "
    "ON CONFLICT (name) DO UPDATE SET position = excluded.position"
)


async def run(scale: float) -> list[Result]:
    """Events a second."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        log = folder / "log.db"

        async def theirs() -> float:
            with _new_file(folder / "theirs.db") as path:
                return await asyncio.to_thread(_guide, log, path, int(GUIDE_EVENTS * scale))

        @contextmanager
        def new_read() -> Iterator[str]:
            with _new_file(folder / "ours.db") as path:
                yield f"sqlite:///{path}"

        async with open_store(f"sqlite:///{log}", EVENT_TYPES) as event_store:
            await fill(event_store, int(EVENTS * scale))
            return [
                await beside_guide("project/guide", event_store, new_read, theirs),
                *await together("project/together", event_store, new_read),
            ]


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


async def beside_guide(name: str, event_store: EventStore, new_read: NewRead, theirs: Side) -> Result:
    """Orders, kept by the engine and by the other side."""

    async def ours() -> float:
        with new_read() as read:
            return await caught_up(event_store, read, [Orders])

    return await compare(name, ours, theirs, unit="events/s")


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    for each in path.parent.glob(f"{path.name}*"):
        each.unlink()
    yield path


def _guide(log: Path, path: Path, events: int) -> float:
    source, target = apsw.Connection(str(log)), apsw.Connection(str(path))
    for pragma in ("journal_mode = WAL", "synchronous = FULL"):
        target.execute(f"PRAGMA {pragma}").fetchall()
    for statement in tables(amount="integer", instant="integer", day="text", json="text"):
        target.execute(statement)
    marks = ["?"] * PER_ORDER
    statements = {
        "OrderPlaced": PLACED.format(*marks),
        "ItemAdded": ADDED.format(*marks, append="json_insert(lines, '$[#]', json(?))"),
        "OrderShipped": SHIPPED.format(*marks),
    }
    began, position = perf_counter(), 0
    while position < events:
        rows: list[Any] = source.execute(
            "SELECT position, type, payload, version, recorded_at FROM event WHERE position > ? "
            "ORDER BY position LIMIT ?",
            (position, PER_READ),
        ).fetchall()
        for position, type, payload, version, at in rows:  # noqa: B007  # the last one is the checkpoint
            data = msgspec.json.decode(payload)
            target.execute(statements[type], effect(type, data, version, at, day=str, amount=_cents))
        target.execute(CHECKPOINT.format("?"), (position,))
    rate = position / (perf_counter() - began)
    source.close()
    target.close()
    return rate


def tables(**types: str) -> Iterator[str]:
    """What makes the guide's tables, with its names of types for amounts, instants, days and JSON."""
    yield "DROP TABLE IF EXISTS guide_orders"
    yield "DROP TABLE IF EXISTS guide_checkpoint"
    yield f"CREATE TABLE guide_orders ({COLUMNS.format(**types)})"
    yield from (f"CREATE INDEX guide_{name} ON guide_orders ({name}, order_id)" for name in INDEXED)
    yield "CREATE TABLE guide_checkpoint (name text PRIMARY KEY, position bigint)"


def effect(
    type: str, data: Any, version: int, at: Any, *, day: Callable[[str], Any], amount: Callable[[Decimal], Any]
) -> tuple[Any, ...]:
    """The values of an event's statement, as guides write it; *day* and *amount* make them the driver's."""
    if type == "OrderShipped":
        return (day(data["shipped_on"]), version, data["order_id"])
    lines = data["lines"] if type == "OrderPlaced" else [data["line"]]
    total = amount(sum((Decimal(line["price"]) * line["quantity"] for line in lines), Decimal(0)))
    names = ", ".join(line["product_name"] for line in lines)
    if type == "ItemAdded":
        return (_json(data["line"]), total, names, version, data["order_id"])
    address = data["shipping_address"]
    ship_to = ", ".join(part for part in address.values() if part)
    placed = (data["order_id"], data["customer_id"], total, len(lines), at, day(data["ordered_on"]), names, ship_to)
    return (*placed, _json(address), _json(lines))


def _cents(amount: Decimal) -> int:
    return int(amount * 100)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
