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

from annotated_types import Ge, Le, MinLen
from pydantic import AfterValidator, BeforeValidator, Field, Strict


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


def _has_a_url(order_id: str) -> str:
    if order_id in {".", "..", "search"}:
        raise ValueError(f"/orders/{order_id} is no place for an order: choose another id")
    return order_id


Id = Annotated[str, MinLen(1)]
OrderId = Annotated[Id, AfterValidator(_has_a_url)]
Day = Annotated[date, BeforeValidator(_iso_day)]
Quantity = Annotated[int, Strict(), Ge(1), Le(1_000_000_000)]
Price = Annotated[Decimal, Field(ge=0, max_digits=14, decimal_places=2)]


@dataclass(frozen=True, kw_only=True)
class Address:
    """Where an order goes; every part may be missing."""

    name: str | None = None
    street: str | None = None
    city: str | None = None
    region: str | None = None
    postal_code: str | None = None
    country: str | None = None

    def __str__(self) -> str:
        parts = (self.name, self.street, self.city, self.region, self.postal_code, self.country)
        return ", ".join(part for part in parts if part)


@dataclass(frozen=True, kw_only=True)
class Line:
    """So many of one product, each at a price."""

    product_id: Id
    quantity: Quantity
    price: Price
    product_name: str | None = None

    @property
    def amount(self) -> Decimal:
        """What the line costs."""
        return self.quantity * self.price


def total(lines: Iterable[Line]) -> Decimal:
    """What the lines cost together."""
    return sum((line.amount for line in lines), start=Decimal("0.00"))
