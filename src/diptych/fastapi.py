"""Put an application on HTTP: `api(app, {"POST /orders": PlaceOrder})` is a FastAPI application."""

from diptych.edge.fastapi.api import Routes, api, attach, get_command_bus, get_query_bus
from diptych.edge.fastapi.positions import PositionCookie
from diptych.edge.fastapi.problems import problems
from diptych.edge.fastapi.requests import MessageRoute
from diptych.edge.fastapi.serve import serve
from diptych.edge.fastapi.settings import Endpoint

__all__ = [
    "Endpoint",
    "MessageRoute",
    "PositionCookie",
    "Routes",
    "api",
    "attach",
    "get_command_bus",
    "get_query_bus",
    "problems",
    "serve",
]
