"""Say what can be asked of the application: its commands and its queries, each with the shape of its answer."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen

from diptych import Command, PaginatedResult, Query

from .values import Address, Day, Id, Line, OrderId, Price, Quantity, Status, Text
from .views import DailySales, HistoryEntry, OrderView

PageNumber = Annotated[int, Ge(1), Le(1_000_000_000)]
PageSize = Annotated[int, Ge(1), Le(100)]


@dataclass(frozen=True)
class Placed:
    """The order's id."""

    order_id: str


@dataclass(frozen=True)
class Done:
    """What was done."""

    status: Literal["item_added", "shipped", "cancelled"]


class PlaceOrder(Command[Placed]):
    """Place an order; without an id it gets a new one, without a day it is of today."""

    customer_id: Id
    items: Annotated[tuple[Line, ...], MinLen(1)]
    shipping_address: Address
    order_id: OrderId | None = None
    ordered_on: Day | None = None


class AddItem(Command[Done]):
    """Add a line to a pending order."""

    order_id: str
    product_id: Id
    quantity: Quantity
    price: Price
    product_name: Text | None = None


class ShipOrder(Command[Done]):
    """Ship a pending order, today where no day is given."""

    order_id: str
    shipped_on: Day | None = None


class CancelOrder(Command[Done]):
    """Cancel a pending order."""

    order_id: str
    reason: Text | None = None


class OrderById(Query[OrderView]):
    """One order."""

    order_id: str


class HistoryOfOrder(Query[PaginatedResult[HistoryEntry]]):
    """What happened to an order, newest first."""

    order_id: str
    page: PageNumber = 1
    page_size: PageSize = 20
    cursor: str | None = None


class OrdersOfCustomer(Query[PaginatedResult[OrderView]]):
    """A customer's orders, newest first."""

    customer_id: str
    status: Status | None = None
    page: PageNumber = 1
    page_size: PageSize = 20
    cursor: str | None = None


class SearchOrders(Query[PaginatedResult[OrderView]]):
    """Orders that hold all words of `q` in customer id, product names or address; the last may be begun only."""

    q: Text | None = None
    status: Status | None = None
    customer_id: Text | None = None
    sort_by: Literal["created_at", "ordered_on", "total_amount", "customer_id", "status", "relevance"] = "created_at"
    sort_order: Literal["asc", "desc"] = "desc"
    highlight: bool = False
    page: PageNumber = 1
    page_size: PageSize = 20
    cursor: str | None = None


class SalesOfDays(Query[list[DailySales]]):
    """The sales of each day from one to another, both included; days without sales are left out."""

    from_: Day | None = None
    to: Day | None = None
