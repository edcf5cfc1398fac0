"""What an order allows and refuses, and what its views make of it, without a server or a database."""

from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from diptych import Event, check_lock
from diptych.catalogue import Catalogue
from diptych.codec import Codec
from diptych.store.port import StoredEvent
from diptych.testing import projecting, scenario
from orders import events
from orders.app import app
from orders.events import ItemAdded, OrderCancelled, OrderPlaced, OrderShipped
from orders.order import LARGEST_TOTAL, Order
from orders.rules import AlreadyCancelled, AlreadyShipped, OrderExists, TooExpensive
from orders.values import Address, Line, Status
from orders.views import DailySales, History, Orders, SalesByDay

DAY = date(2024, 1, 2)
LAMP = Line(product_id="1", product_name="Steel lamp", quantity=2, price=Decimal("9.90"))
TABLE = Line(product_id="2", product_name="Oak table", quantity=1, price=Decimal(120))
HOME = Address(name="Ada Lovelace", city="London")

PLACED = OrderPlaced(order_id="o-1", customer_id="ada", lines=(LAMP,), shipping_address=HOME, ordered_on=DAY)
ADDED = ItemAdded(order_id="o-1", line=TABLE)
SHIPPED = OrderShipped(order_id="o-1", shipped_on=DAY)
CANCELLED = OrderCancelled(order_id="o-1", reason="late")


def order() -> Any:
    return scenario(Order, id="o-1")


# Rules


def test_an_order_is_placed() -> None:
    order().given().when(place).then(PLACED)


def test_a_line_is_added_to_a_pending_order() -> None:
    order().given(PLACED).when(lambda order: order.add(TABLE)).then(ADDED)


def test_a_pending_order_is_shipped() -> None:
    order().given(PLACED, ADDED).when(lambda order: order.ship(DAY)).then(SHIPPED)


def test_a_pending_order_is_cancelled() -> None:
    order().given(PLACED).when(lambda order: order.cancel("late")).then(CANCELLED)


@pytest.mark.parametrize("before", [(PLACED,), (PLACED, SHIPPED), (PLACED, CANCELLED)])
def test_an_order_is_placed_once(before: tuple[Event, ...]) -> None:
    order().given(*before).when(place).then_refused(OrderExists)


@pytest.mark.parametrize("act", ["add", "ship", "cancel"])
@pytest.mark.parametrize(("last", "rule"), [(SHIPPED, AlreadyShipped), (CANCELLED, AlreadyCancelled)])
def test_an_order_that_is_done_stays_as_it_is(act: str, last: Event, rule: type[Exception]) -> None:
    argument = {"add": LAMP, "ship": DAY, "cancel": "late"}[act]

    order().given(PLACED, last).when(lambda order: getattr(order, act)(argument)).then_refused(rule)


def test_an_order_has_a_largest_total() -> None:
    rest = Line(product_id="3", quantity=1, price=LARGEST_TOTAL - LAMP.amount)
    too_much = Line(product_id="3", quantity=1, price=LARGEST_TOTAL - LAMP.amount + Decimal("0.01"))

    order().given(PLACED).when(lambda order: order.add(rest)).then(ItemAdded(order_id="o-1", line=rest))
    order().given(PLACED).when(lambda order: order.add(too_much)).then_refused(TooExpensive)


def place(order: Order) -> None:
    order.place(customer_id="ada", lines=[LAMP], shipping_address=HOME, ordered_on=DAY)


# Views


def test_a_view_shows_the_order_as_it_stands() -> None:
    row = projecting(Orders).given(PLACED, ADDED, SHIPPED).row("o-1")

    assert (row.status, row.shipped_on, row.version) == (Status.SHIPPED, DAY, 3)
    assert (row.total_amount, row.item_count, row.lines) == (Decimal("139.80"), 2, (LAMP, TABLE))
    assert (row.products, row.ship_to) == ("Steel lamp, Oak table", "Ada Lovelace, London")


def test_a_history_tells_every_event_and_what_came_with_it() -> None:
    history = projecting(History).given(PLACED, ADDED, CANCELLED)

    told = [(row.event, row.version, row.lines, row.reason) for row in map(history.row, (1, 2, 3))]
    assert told == [
        ("OrderPlaced", 1, (LAMP,), None),
        ("ItemAdded", 2, (TABLE,), None),
        ("OrderCancelled", 3, (), "late"),
    ]


def test_a_day_counts_an_added_line() -> None:
    day = DailySales(day=DAY, orders=1, lines=2, revenue=Decimal("139.80"))

    projecting(SalesByDay).given(PLACED, ADDED).then(day)


def test_a_cancelled_order_leaves_its_day_with_all_its_lines() -> None:
    other = OrderPlaced(order_id="o-2", customer_id="bob", lines=(LAMP,), shipping_address=HOME, ordered_on=DAY)
    day = DailySales(day=DAY, orders=1, lines=1, revenue=Decimal("19.80"))

    projecting(SalesByDay).given(PLACED, other, ADDED, CANCELLED).then(day)
    projecting(SalesByDay).given(PLACED, ADDED, CANCELLED).then()


# Versions


def test_a_line_of_version_1_is_read_as_it_is_written_today() -> None:
    old = {"order_id": "o-1", "product_id": "2", "quantity": 3, "price_cents": 1250}
    stored = StoredEvent(
        position=7,
        stream="Order-o-1",
        category="Order",
        version=2,
        type="ItemAdded",
        schema_version=1,
        id="e-7",
        payload=msgspec.json.encode(old),
        metadata=b"{}",
        recorded_at=int(datetime(2024, 1, 2, tzinfo=UTC).timestamp() * 1_000_000),
    )

    event = Codec(Catalogue.of([ItemAdded])).decode(stored)

    line = Line(product_id="2", quantity=3, price=Decimal("12.50"))
    assert event.data == ItemAdded(order_id="o-1", line=line)


def test_no_change_of_an_event_makes_stored_ones_unreadable() -> None:
    check_lock(Path(events.__file__).with_name("events.lock.json"), app.events)
