"""
Show orders, what happened to each, and the sales of each day.

`Orders` keeps one row an order, `History` one an event: both are also what the API
answers. `SalesByDay` keeps one row a day; an added line and a cancellation carry
neither day nor amount, so it remembers them per order. Rows are msgspec Structs, which change faster
than dataclasses.
"""

from collections.abc import Iterable
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeAlias

from msgspec import Struct
from msgspec.structs import replace

from diptych import Indexed, Key, RecordedEvent, Searched, TableProjection, TwoRoundProjection

from .events import ItemAdded, OrderCancelled, OrderEvent, OrderPlaced, OrderShipped
from .values import Address, Line, Status, total


class OrderView(Struct, frozen=True, kw_only=True):
    """An order as it stands; `products` and `ship_to` hold the words to search for."""

    order_id: Key[str]
    customer_id: Indexed[Searched[str]]
    status: Indexed[Status]
    total_amount: Indexed[Decimal]
    item_count: int
    created_at: Indexed[datetime]
    ordered_on: Indexed[date]
    shipped_on: date | None
    products: Searched[str]
    ship_to: Searched[str]
    shipping_address: Address
    lines: tuple[Line, ...]
    version: int


class Orders(TableProjection[OrderView, OrderEvent]):
    """Every order, with everything that is shown of it."""

    def evolve(self, row: OrderView | None, event: RecordedEvent[OrderEvent]) -> OrderView | None:
        """A placed order makes the row, what follows changes it."""
        match event.data:
            case OrderPlaced() as order:
                return _placed(order, event)
            case ItemAdded(line=line) if row:
                return replace(
                    row,
                    version=event.version,
                    lines=(*row.lines, line),
                    item_count=row.item_count + 1,
                    total_amount=row.total_amount + line.amount,
                    products=_listed(row.products, line.product_name),
                )
            case OrderShipped(shipped_on=day) if row:
                return replace(row, version=event.version, status=Status.SHIPPED, shipped_on=day)
            case OrderCancelled() if row:
                return replace(row, version=event.version, status=Status.CANCELLED)
        return row


def _placed(order: OrderPlaced, event: RecordedEvent[OrderEvent]) -> OrderView:
    return OrderView(
        order_id=order.order_id,
        customer_id=order.customer_id,
        status=Status.PENDING,
        total_amount=total(order.lines),
        item_count=len(order.lines),
        created_at=event.recorded_at,
        ordered_on=order.ordered_on,
        shipped_on=None,
        products=_names(order.lines),
        ship_to=str(order.shipping_address),
        shipping_address=order.shipping_address,
        lines=order.lines,
        version=event.version,
    )


def _listed(names: str, name: str | None) -> str:
    return f"{names}, {name}" if names and name else names or name or ""


def _names(lines: Iterable[Line]) -> str:
    return ", ".join(line.product_name for line in lines if line.product_name)


class HistoryEntry(Struct, frozen=True, kw_only=True):
    """What happened to an order: when, and where in the log; `lines` came with it."""

    position: Key[int]
    order_id: Indexed[str]
    version: int
    recorded_at: datetime
    event: str
    lines: tuple[Line, ...] = ()
    shipped_on: date | None = None
    reason: str | None = None


class History(TableProjection[HistoryEntry, OrderEvent]):
    """A row for every event, as an order's page tells them; it needs no log to answer, as a replica has none."""

    def keys(self, event: RecordedEvent[OrderEvent]) -> Iterable[int]:
        """A row of its own."""
        return (event.global_position,)

    def evolve(self, row: HistoryEntry | None, event: RecordedEvent[OrderEvent]) -> HistoryEntry | None:
        """What happened is never changed."""
        return HistoryEntry(
            position=event.global_position,
            order_id=event.data.order_id,
            version=event.version,
            recorded_at=event.recorded_at,
            event=type(event.data).__name__,
            **_told(event.data),
        )


def _told(event: OrderEvent) -> dict[str, Any]:
    match event:
        case OrderPlaced(lines=lines):
            return {"lines": lines}
        case ItemAdded(line=line):
            return {"lines": (line,)}
        case OrderShipped(shipped_on=day):
            return {"shipped_on": day}
        case OrderCancelled(reason=reason):
            return {"reason": reason}


class Sale(Struct, frozen=True, kw_only=True):
    """What an order adds to the sales of its day."""

    order_id: Key[str]
    day: date
    lines: int
    revenue: Decimal


class DailySales(Struct, frozen=True, kw_only=True):
    """What was sold on a day; cancelled orders are taken out."""

    day: Key[date]
    orders: int = 0
    lines: int = 0
    revenue: Decimal = Decimal("0.00")

    def plus(self, *, orders: int, lines: int, revenue: Decimal) -> "DailySales | None":
        """The day with so much more (or less) sold; None when nothing is left."""
        day = replace(self, orders=self.orders + orders, lines=self.lines + lines, revenue=self.revenue + revenue)
        return day if day.orders else None


SaleEvent: TypeAlias = OrderPlaced | ItemAdded | OrderCancelled


class SalesByDay(TwoRoundProjection[Sale, DailySales, SaleEvent]):
    """The sales of each day, by the day of the order."""

    def remember(self, memo: Sale | None, event: RecordedEvent[SaleEvent]) -> Sale | None:
        """Remember an order's day and amount; forget a cancelled one."""
        match event.data:
            case OrderPlaced(order_id=order_id, ordered_on=day, lines=lines):
                return Sale(order_id=order_id, day=day, lines=len(lines), revenue=total(lines))
            case ItemAdded(line=line):
                return memo and replace(memo, lines=memo.lines + 1, revenue=memo.revenue + line.amount)
            case OrderCancelled():
                return None

    def keys(self, event: RecordedEvent[SaleEvent], memo: Sale) -> Iterable[date]:
        """The day of the order."""
        return (memo.day,)

    def evolve(self, row: DailySales | None, event: RecordedEvent[SaleEvent], memo: Sale) -> DailySales | None:
        """Add what the event sold to its day, or take it out again."""
        day = row or DailySales(day=memo.day)
        match event.data:
            case OrderPlaced():
                return day.plus(orders=1, lines=memo.lines, revenue=memo.revenue)
            case ItemAdded(line=line):
                return day.plus(orders=0, lines=1, revenue=line.amount)
            case OrderCancelled():
                return day.plus(orders=-1, lines=-memo.lines, revenue=-memo.revenue)
