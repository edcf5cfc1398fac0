"""
What type checkers must know about Diptych without a plugin: `assert_type` holds, and marked lines are refused.

mypy and pyright read this file; nobody runs it. An unneeded `ignore` is an
error to both, so a marked line that they accept fails the check.
"""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, assert_never, assert_type

from diptych import (
    Aggregate,
    Answer,
    Appended,
    Command,
    CommandBus,
    CommandHandler,
    Diptych,
    Event,
    EventStore,
    Indexed,
    Key,
    PaginatedResult,
    Query,
    QueryBus,
    QueryHandler,
    ReadModel,
    Receipt,
    RecordedEvent,
    Repository,
    Searched,
    TableProjection,
)


class OrderPlaced(Event):
    order_id: str
    customer_id: str


class ItemAdded(Event, version=2, was=("LineAdded",)):
    order_id: str
    price: Decimal
    product: str | None = None


OrderEvent = OrderPlaced | ItemAdded


class PlaceOrder(Command[str]):
    customer_id: str
    note: str | None = None


@dataclass(frozen=True)
class Ping(Command):
    note: str = ""


@dataclass(frozen=True)
class OrderRow:
    order_id: Key[str]
    customer_id: Indexed[Searched[str]]
    total: Decimal


class OrdersOf(Query[PaginatedResult[OrderRow]]):
    customer_id: str
    page: int = 1


class Order(Aggregate[OrderEvent]):
    def place(self, customer_id: str) -> None:
        self.record(OrderPlaced(order_id=self.id, customer_id=customer_id))
        self.record(Stranger())  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    def apply(self, event: OrderEvent) -> None:
        match event:
            case OrderPlaced():
                assert_type(event, OrderPlaced)
            case ItemAdded():
                assert_type(event.price, Decimal)
            case _:
                assert_never(event)


class Stranger(Event):
    pass


class Orders(TableProjection[OrderRow, OrderEvent]):
    def evolve(self, row: OrderRow | None, event: RecordedEvent[OrderEvent]) -> OrderRow | None:
        match event.data:
            case OrderPlaced(order_id=order_id, customer_id=customer_id):
                return OrderRow(order_id, customer_id, Decimal(0))
            case ItemAdded() as added:
                assert_type(added.product, str | None)
                return row


class PlaceOrderHandler(CommandHandler[PlaceOrder]):
    async def handle(self, command: PlaceOrder) -> str:
        return command.command_id


class OrdersOfHandler(QueryHandler[OrdersOf, PaginatedResult[OrderRow]]):
    async def handle(self, query: OrdersOf) -> PaginatedResult[OrderRow]:
        return PaginatedResult(items=[], total=0, page=query.page, page_size=20)


commands, queries = CommandBus(), QueryBus()


@commands.handler
async def ping(command: Ping, orders: Repository[Order]) -> int:
    order = await orders.load("1")
    assert_type(order, Order)
    assert_type(order.id, str)
    return order.version


async def a_function_stays_plain(orders: Repository[Order]) -> None:
    assert_type(await ping(Ping(), orders), int)


def messages_are_typed() -> None:
    command = PlaceOrder(customer_id="c")
    assert_type(command.command_id, str)
    assert_type(command.timestamp, datetime)
    assert_type(command.note, str | None)
    PlaceOrder(customer_id="c", command_id="mine")
    PlaceOrder()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    PlaceOrder("c")  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
    command.note = "x"  # type: ignore[misc]  # pyright: ignore[reportAttributeAccessIssue]
    command.unknown  # type: ignore[attr-defined]  # pyright: ignore[reportAttributeAccessIssue]


async def results_are_typed(bus: CommandBus, asks: QueryBus, app: Diptych) -> None:
    assert_type(await bus.dispatch(PlaceOrder(customer_id="c")), str)
    assert_type(await bus.execute(PlaceOrder(customer_id="c")), Receipt[str])
    assert_type((await bus.execute(PlaceOrder(customer_id="c"))).result, str)
    assert_type(await bus.dispatch(Ping()), Any)
    assert_type(await asks.dispatch(OrdersOf(customer_id="c")), PaginatedResult[OrderRow])
    async with app.open() as running:
        answer = await running.ask(OrdersOf(customer_id="c"))
        assert_type(answer, Answer[PaginatedResult[OrderRow]])


async def reads_are_typed(model: ReadModel[OrderRow], event_store: EventStore) -> None:
    assert_type(await model.get("1"), OrderRow | None)
    page = await model.page(where={"customer_id": "c"})
    assert_type(page, PaginatedResult[OrderRow])
    assert_type(page.items[0].customer_id, str)
    assert_type(page.total_pages, int | None)
    appended = await event_store.append_events(stream_id="s", stream_type="S", events=[Stranger()])
    assert_type(appended, Appended)
    assert_type(await event_store.read_stream("s"), list[RecordedEvent[Any]])
