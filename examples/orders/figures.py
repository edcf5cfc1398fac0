"""
Reckon the same figures from a file of orders and from the API, to compare them.

The API is asked through its public endpoints only, at a position that holds
every order sent: what differs is wrong, not late. Orders that are not in the
file don't count, except in the sales of their day.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, fields
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from .client import Client
from .values import Address, Line, Status, total
from .views import DailySales, OrderView

PRODUCT = "Queso Cabrales"


@dataclass(frozen=True, kw_only=True)
class Figures:
    """What the orders come to."""

    orders: int
    shipped: int
    pending: int
    lines: int
    revenue: Decimal
    customers: int
    customer_sums: dict[str, Decimal]
    daily_sales: list[DailySales]
    orders_with_product: frozenset[str]

    def compared(self, other: "Figures") -> Iterable[tuple[str, Any, Any]]:
        """The name of each figure, with its value here and there."""
        for figure in fields(self):
            yield figure.name, getattr(self, figure.name), getattr(other, figure.name)


class FileOrder(msgspec.Struct, frozen=True):
    """An order as the file has it."""

    order_id: str
    customer_id: str
    ordered_on: date
    shipped_on: date | None
    shipping_address: Address
    items: tuple[Line, ...]

    @property
    def status(self) -> Status:
        """Shipped if it has a day of shipping."""
        return Status.SHIPPED if self.shipped_on else Status.PENDING

    @property
    def item_count(self) -> int:
        """The number of its lines."""
        return len(self.items)

    @property
    def total_amount(self) -> Decimal:
        """What it costs."""
        return total(self.items)


class Counted(Protocol):
    """What the figures need to know of an order, in the file or served."""

    @property
    def customer_id(self) -> str: ...
    @property
    def status(self) -> Status: ...
    @property
    def item_count(self) -> int: ...
    @property
    def total_amount(self) -> Decimal: ...


def in_file(orders: Sequence[FileOrder]) -> Figures:
    """The figures of the orders in the file."""
    return _figures(
        orders,
        customer_sums=_sums(orders),
        daily_sales=_daily_sales(orders),
        orders_with_product=frozenset(o.order_id for o in orders if PRODUCT in {i.product_name for i in o.items}),
    )


async def served(client: Client, orders: Sequence[FileOrder], token: str) -> Figures:
    """The figures that the API gives of the same orders, at the token's position or later."""
    ids = {order.order_id for order in orders}
    customers = {order.customer_id for order in orders}
    found = await client.items("/orders/search", OrderView, after=token, params={"q": PRODUCT})
    return _figures(
        _among(ids, await client.items("/orders/search", OrderView, after=token)),
        customer_sums=_sums([order for id in customers for order in await _orders_of(client, id, ids, token)]),
        daily_sales=await _daily_sales_served(client, orders, token),
        orders_with_product=frozenset(order.order_id for order in _among(ids, found)),
    )


async def _orders_of(client: Client, customer_id: str, ids: Collection[str], token: str) -> list[OrderView]:
    return _among(ids, await client.items(f"/customers/{customer_id}/orders", OrderView, after=token))


async def _daily_sales_served(client: Client, orders: Sequence[FileOrder], token: str) -> list[DailySales]:
    days = [order.ordered_on.isoformat() for order in orders]
    params = {"from": min(days), "to": max(days)}
    return (await client.ask("/reports/daily-sales", list[DailySales], after=token, params=params)).value


def _among(ids: Collection[str], orders: Iterable[OrderView]) -> list[OrderView]:
    return [order for order in orders if order.order_id in ids]


def _figures(orders: Sequence[Counted], **others: Any) -> Figures:
    return Figures(
        orders=len(orders),
        shipped=sum(order.status is Status.SHIPPED for order in orders),
        pending=sum(order.status is Status.PENDING for order in orders),
        lines=sum(order.item_count for order in orders),
        revenue=sum((order.total_amount for order in orders), start=Decimal("0.00")),
        customers=len({order.customer_id for order in orders}),
        **others,
    )


def _sums(orders: Iterable[Counted]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for order in orders:
        sums[order.customer_id] = sums.get(order.customer_id, Decimal("0.00")) + order.total_amount
    return sums


def _daily_sales(orders: Iterable[FileOrder]) -> list[DailySales]:
    days: dict[date, DailySales] = {}
    for order in orders:
        day = days.get(order.ordered_on) or DailySales(day=order.ordered_on)
        days[day.day] = day.plus(orders=1, lines=order.item_count, revenue=order.total_amount) or day
    return [days[day] for day in sorted(days)]
