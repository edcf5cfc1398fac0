"""
Hang the panels on one log and put them on HTTP.

`app` is the application, `http` its FastAPI form, with a page at `/`: `uvicorn orders.app:http`.
The databases are `DIPTYCH_LOG_URL` and `DIPTYCH_READ_URL`, else files in ./data/.
"""

from diptych import Diptych
from diptych.fastapi import Endpoint, Events, Live, Routes, api

from .handlers import commands, queries
from .messages import (
    AddItem,
    CancelOrder,
    HistoryOfOrder,
    OrderById,
    OrdersOfCustomer,
    PlaceOrder,
    SalesOfDays,
    SearchOrders,
    ShipOrder,
)
from .page import add_page
from .reactions import Mailbox, MailOnShipping
from .views import History, Orders, SalesByDay

ROUTES: Routes = {
    "POST /orders": Endpoint(PlaceOrder, status=201, location="/orders/{order_id}"),
    "POST /orders/{order_id}/items": AddItem,
    "POST /orders/{order_id}/ship": ShipOrder,
    "DELETE /orders/{order_id}": CancelOrder,
    "GET /orders/{order_id}": OrderById,
    "GET /orders/{order_id}/history": HistoryOfOrder,
    "GET /orders/search": SearchOrders,
    "GET /orders/live": Live(SearchOrders),
    "GET /orders/events": Events("Order"),
    "GET /customers/{customer_id}/orders": OrdersOfCustomer,
    "GET /reports/daily-sales": SalesOfDays,
}

app = Diptych(
    commands,
    queries,
    projections=[Orders, History, SalesByDay],
    reactions=[MailOnShipping],
    provide={Mailbox: Mailbox()},
)
http = api(app, ROUTES, title="Orders", cookie=True)
add_page(http)
