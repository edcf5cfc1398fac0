"""What the side that is written by hand has of Orders: placing one, and the row that is shown."""

from diptych import Diptych, QueryBus
from diptych.fastapi import Endpoint, api
from orders.handlers import commands, order_by_id
from orders.messages import OrderById, PlaceOrder
from orders.views import Orders

queries = QueryBus()
queries.handler(order_by_id)
app = Diptych(commands, queries, projections=[Orders])
http = api(
    app,
    {
        "POST /orders": Endpoint(PlaceOrder, status=201, location="/orders/{order_id}"),
        "GET /orders/{order_id}": OrderById,
    },
)
