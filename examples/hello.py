"""
Take orders and list them: one command, one event, one read model, two routes.

Run `python examples/hello.py` and look at http://127.0.0.1:8000/docs: the log and the read model are a file each.
"""

from dataclasses import dataclass

from diptych import Aggregate, Command, CommandBus, Diptych, Event, Indexed, Key, PaginatedResult, Query, QueryBus
from diptych import ReadModel, RecordedEvent, Repository, Searched, TableProjection
from diptych.fastapi import api, serve


class OrderPlaced(Event):
    order_id: str
    customer_id: str
    product: str


class PlaceOrder(Command[str]):
    customer_id: str
    product: str


class Order(Aggregate[OrderPlaced]):
    def place(self, customer_id: str, product: str) -> None:
        self.record(OrderPlaced(order_id=self.id, customer_id=customer_id, product=product))


@dataclass(frozen=True)
class OrderRow:
    order_id: Key[str]
    customer_id: Indexed[str]
    product: Searched[str]


class OrdersOf(Query[PaginatedResult[OrderRow]]):
    customer_id: str
    q: str | None = None
    page: int = 1


class Orders(TableProjection[OrderRow, OrderPlaced]):
    def evolve(self, row: OrderRow | None, event: RecordedEvent[OrderPlaced]) -> OrderRow | None:
        return OrderRow(event.data.order_id, event.data.customer_id, event.data.product)


commands, queries = CommandBus(), QueryBus()


@commands.handler
async def place_order(command: PlaceOrder, orders: Repository[Order]) -> str:
    order = Order()
    order.place(command.customer_id, command.product)
    await orders.save(order)
    return order.id


@queries.handler
async def orders_of(query: OrdersOf, orders: ReadModel[OrderRow]) -> PaginatedResult[OrderRow]:
    return await orders.page(where={"customer_id": query.customer_id}, search=query.q, page=query.page)


app = Diptych(commands, queries, projections=[Orders])
routes = {"POST /orders": PlaceOrder, "GET /customers/{customer_id}/orders": OrdersOf}
http = api(app, routes, log="sqlite:///hello-log.db", read="sqlite:///hello-read.db")

if __name__ == "__main__":
    serve(http)
