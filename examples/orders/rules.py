"""Refuse what an order doesn't allow, in the words of the business."""

from decimal import Decimal

from diptych import Refused


class OrderExists(Refused):
    """An order id is used once."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"order {order_id!r} was placed before: place this one under another id")
        self.order_id = order_id


class AlreadyShipped(Refused):
    """What has left the house stays as it is."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"order {order_id!r} has been shipped: place a new order instead")
        self.order_id = order_id


class AlreadyCancelled(Refused):
    """A cancelled order stays cancelled."""

    def __init__(self, order_id: str) -> None:
        super().__init__(f"order {order_id!r} was cancelled: place a new order instead")
        self.order_id = order_id


class TooExpensive(Refused):
    """An order's total has a limit, so that a year's revenue can be added up exactly."""

    def __init__(self, order_id: str, *, total: Decimal, limit: Decimal) -> None:
        super().__init__(f"order {order_id!r} would come to {total}, more than {limit}: place several orders")
        self.order_id, self.total, self.limit = order_id, total, limit
