"""Decide what may happen to an order. Nothing else does: a handler loads, asks and saves."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

from diptych import Aggregate

from .events import ItemAdded, OrderCancelled, OrderEvent, OrderPlaced, OrderShipped
from .rules import AlreadyCancelled, AlreadyShipped, OrderExists, TooExpensive
from .values import Address, Line, Status, total

LARGEST_TOTAL = Decimal("1000000000000.00")


class Order(Aggregate[OrderEvent]):
    """One order, from its placing until it is shipped or cancelled."""

    status: Status | None = None
    total = Decimal("0.00")

    def place(self, *, customer_id: str, lines: Sequence[Line], shipping_address: Address, ordered_on: date) -> None:
        """Place the order; once only."""
        if self.status is not None:
            raise OrderExists(self.id)
        self._refuse_a_total_of(total(lines))
        self.record(
            OrderPlaced(
                order_id=self.id,
                customer_id=customer_id,
                lines=tuple(lines),
                shipping_address=shipping_address,
                ordered_on=ordered_on,
            )
        )

    def add(self, line: Line) -> None:
        """Add a line while the order is pending."""
        self._refuse_unless_pending()
        self._refuse_a_total_of(self.total + line.amount)
        self.record(ItemAdded(order_id=self.id, line=line))

    def ship(self, shipped_on: date) -> None:
        """Ship the order while it is pending."""
        self._refuse_unless_pending()
        self.record(OrderShipped(order_id=self.id, shipped_on=shipped_on))

    def cancel(self, reason: str | None = None) -> None:
        """Cancel the order while it is pending."""
        self._refuse_unless_pending()
        self.record(OrderCancelled(order_id=self.id, reason=reason))

    def apply(self, event: OrderEvent) -> None:
        """Follow what happened."""
        match event:
            case OrderPlaced(lines=lines):
                self.status, self.total = Status.PENDING, total(lines)
            case ItemAdded(line=line):
                self.total += line.amount
            case OrderShipped():
                self.status = Status.SHIPPED
            case OrderCancelled():
                self.status = Status.CANCELLED

    def _refuse_unless_pending(self) -> None:
        if self.status is Status.SHIPPED:
            raise AlreadyShipped(self.id)
        if self.status is Status.CANCELLED:
            raise AlreadyCancelled(self.id)

    def _refuse_a_total_of(self, amount: Decimal) -> None:
        if amount > LARGEST_TOTAL:
            raise TooExpensive(self.id, total=amount, limit=LARGEST_TOTAL)
