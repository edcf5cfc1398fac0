"""
Name the values that messages, events and read models are made of.

What is annotated here is checked where a value comes in from outside; inside,
a value is taken to be right.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from typing import Annotated

from annotated_types import Ge, Le, MaxLen, MinLen
from pydantic import AfterValidator, BeforeValidator, Field

from diptych import Amount


class Status(StrEnum):
    """Where an order stands; shipped and cancelled are for ever."""

    PENDING = "pending"
    SHIPPED = "shipped"
    CANCELLED = "cancelled"


def _iso_day(value: object) -> object:
    if isinstance(value, str) and len(value) != len("2024-12-31"):
        raise ValueError("a day is written like 2024-12-31")
    if isinstance(value, int | float):
        raise ValueError("a day is a text like 2024-12-31, not a number")
    return value


def _whole(value: object) -> object:
    if isinstance(value, str | bool) or (isinstance(value, float | Decimal) and value != int(value)):
        raise ValueError("a quantity is a whole number")
    return value


def _has_a_url(order_id: str) -> str:
    if order_id in {".", "..", "search", "live", "events"}:
        raise ValueError(f"/orders/{order_id} is no place for an order: choose another id")
    return order_id


Text = Annotated[str, Field(pattern=r"^[^\x00]*$")]  # no database holds NUL
Id = Annotated[Text, MinLen(1), MaxLen(200)]  # what names something has its place in an index
OrderId = Annotated[Id, AfterValidator(_has_a_url)]
Day = Annotated[date, BeforeValidator(_iso_day)]
Quantity = Annotated[int, Ge(1), Le(1_000_000_000), BeforeValidator(_whole)]
Price = Annotated[Decimal, Amount(least=Decimal(0))]


@dataclass(frozen=True, kw_only=True, slots=True)
class Address:
    """Where an order goes; every part may be missing."""

    name: Text | None = None
    street: Text | None = None
    city: Text | None = None
    region: Text | None = None
    postal_code: Text | None = None
    country: Text | None = None

    def __str__(self) -> str:
        parts = (self.name, self.street, self.city, self.region, self.postal_code, self.country)
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True, slots=True)
class Line:
    """So many of one product, each at a price."""

    product_id: Id
    quantity: Quantity
    price: Price
    product_name: Text | None = None

    @property
    def amount(self) -> Decimal:
        """What the line costs."""
        return self.price * self.quantity


def total(lines: Iterable[Line]) -> Decimal:
    """What the lines cost together."""
    return sum((line.amount for line in lines), start=Decimal("0.00"))
