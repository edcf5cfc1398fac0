"""Record what happened to orders. These shapes stay readable for ever: a changed one gets a version and an upcaster."""

from datetime import date
from decimal import Decimal
from typing import Any, TypeAlias

from diptych import Event, upcast

from .values import Address, Line


class OrderPlaced(Event):
    """A customer ordered something."""

    order_id: str
    customer_id: str
    lines: tuple[Line, ...]
    shipping_address: Address
    ordered_on: date


class ItemAdded(Event, version=2):
    """The customer wants one thing more."""

    order_id: str
    line: Line


class OrderShipped(Event):
    """The goods are on their way."""

    order_id: str
    shipped_on: date


class OrderCancelled(Event):
    """The customer doesn't want it any more."""

    order_id: str
    reason: str | None


OrderEvent: TypeAlias = OrderPlaced | ItemAdded | OrderShipped | OrderCancelled


@upcast(ItemAdded, from_version=1)
def _priced_in_cents(old: dict[str, Any]) -> dict[str, Any]:
    """Version 1 had no line: product and quantity stood alone, the price was in cents, the name unknown."""
    price = Decimal(old["price_cents"]).scaleb(-2)
    line = {"product_id": old["product_id"], "quantity": old["quantity"], "price": str(price)}
    return {"order_id": old["order_id"], "line": line}
