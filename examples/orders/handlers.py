"""Answer every message: a command loads an order, asks it and saves it; a query reads a view."""

from sqlalchemy import select

from diptych import RELEVANCE, CommandBus, NotFound, PaginatedResult, QueryBus, ReadModel, Repository

from .messages import (
    AddItem,
    CancelOrder,
    Done,
    HistoryOfOrder,
    OrderById,
    OrdersOfCustomer,
    Placed,
    PlaceOrder,
    SalesOfDays,
    SearchOrders,
    ShipOrder,
)
from .order import Order
from .values import Line
from .views import DailySales, HistoryEntry, OrderView

commands, queries = CommandBus(), QueryBus()


@commands.handler
async def place_order(command: PlaceOrder, orders: Repository[Order]) -> Placed:
    """Place a new order; an id that exists is refused by the order itself."""
    order = await _order_to_place(command.order_id, orders)
    order.place(
        customer_id=command.customer_id,
        lines=command.items,
        shipping_address=command.shipping_address,
        ordered_on=command.ordered_on or command.timestamp.date(),
    )
    await orders.save(order)
    return Placed(order.id)


async def _order_to_place(order_id: str | None, orders: Repository[Order]) -> Order:
    if order_id is None:
        return Order()
    try:
        return await orders.load(order_id)
    except NotFound:
        return Order(order_id)


@commands.handler
async def add_item(command: AddItem, orders: Repository[Order]) -> Done:
    """Add a line."""
    order = await orders.load(command.order_id)
    order.add(
        Line(
            product_id=command.product_id,
            quantity=command.quantity,
            price=command.price,
            product_name=command.product_name,
        )
    )
    await orders.save(order)
    return Done("item_added")


@commands.handler
async def ship_order(command: ShipOrder, orders: Repository[Order]) -> Done:
    """Ship it."""
    order = await orders.load(command.order_id)
    order.ship(command.shipped_on or command.timestamp.date())
    await orders.save(order)
    return Done("shipped")


@commands.handler
async def cancel_order(command: CancelOrder, orders: Repository[Order]) -> Done:
    """Cancel it."""
    order = await orders.load(command.order_id)
    order.cancel(command.reason)
    await orders.save(order)
    return Done("cancelled")


@queries.handler
async def order_by_id(query: OrderById, orders: ReadModel[OrderView]) -> OrderView:
    """One row by its key."""
    order = await orders.get(query.order_id)
    if order is None:
        raise NotFound("order", query.order_id)
    return order


@queries.handler
async def history_of_order(query: HistoryOfOrder, history: ReadModel[HistoryEntry]) -> PaginatedResult[HistoryEntry]:
    """A page of the order's events; every order has one, so without any there is no order."""
    found = await history.page(
        where={"order_id": query.order_id}, page=query.page, page_size=query.page_size, cursor=query.cursor
    )
    if found.total == 0:
        raise NotFound("order", query.order_id)
    return found


@queries.handler
async def orders_of_customer(query: OrdersOfCustomer, orders: ReadModel[OrderView]) -> PaginatedResult[OrderView]:
    """A page in the order of placing, which is what a page is in when nothing is said."""
    return await orders.page(
        where={"customer_id": query.customer_id, "status": query.status},
        page=query.page,
        page_size=query.page_size,
        cursor=query.cursor,
    )


@queries.handler
async def search_orders(query: SearchOrders, orders: ReadModel[OrderView]) -> PaginatedResult[OrderView]:
    """A page of what matches."""
    return await orders.page(
        where={"customer_id": query.customer_id, "status": query.status},
        search=query.q,
        order_by=_order_of(query),
        highlight=query.highlight,
        page=query.page,
        page_size=query.page_size,
        cursor=query.cursor,
    )


def _order_of(query: SearchOrders) -> str | None:
    if query.sort_by == "relevance":
        return RELEVANCE if query.q is not None else None
    return f"-{query.sort_by}" if query.sort_order == "desc" else query.sort_by


@queries.handler
async def sales_of_days(query: SalesOfDays, sales: ReadModel[DailySales]) -> list[DailySales]:
    """A range of days is a statement of our own, on the view's table."""
    async with sales.snapshot() as snapshot:
        day = snapshot.table.c
        statement = select(day.day, day.orders, day.lines, day.revenue).order_by(day.day)
        if query.from_ is not None:
            statement = statement.where(day.day >= query.from_)
        if query.to is not None:
            statement = statement.where(day.day <= query.to)
        rows = await snapshot.conn.execute(statement)
        return [DailySales(**row) for row in rows.mappings()]
