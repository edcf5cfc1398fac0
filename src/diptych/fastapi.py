"""Put an application on HTTP: `api(app, {"POST /orders": PlaceOrder})` is a FastAPI application."""

from diptych.edge.fastapi.api import Routes, api, attach, get_command_bus, get_query_bus
from diptych.edge.fastapi.problems import problems
from diptych.edge.fastapi.requests import MessageRoute
from diptych.edge.fastapi.routes import Endpoint
from diptych.edge.fastapi.serve import serve

__all__ = [
    "Endpoint",
    "MessageRoute",
    "Routes",
    "api",
    "attach",
    "get_command_bus",
    "get_query_bus",
    "problems",
    "serve",
]
