"""
Put an application on HTTP: `api(app, {"POST /orders": PlaceOrder})` is a FastAPI application.

`include_router(router(app, {...}))` puts it beside the routes of one's own.
"""

from diptych.edge.fastapi.api import (
    Commands,
    Options,
    Queries,
    Routes,
    api,
    attach,
    get_command_bus,
    get_query_bus,
    router,
)
from diptych.edge.fastapi.live import Events, EventsOf, Live
from diptych.edge.fastapi.positions import PositionCookie
from diptych.edge.fastapi.problems import problems
from diptych.edge.fastapi.requests import MessageRoute
from diptych.edge.fastapi.serve import serve
from diptych.edge.fastapi.settings import Endpoint, Limits

__all__ = [
    "Commands",
    "Endpoint",
    "Events",
    "EventsOf",
    "Limits",
    "Live",
    "MessageRoute",
    "Options",
    "PositionCookie",
    "Queries",
    "Routes",
    "api",
    "attach",
    "get_command_bus",
    "get_query_bus",
    "problems",
    "router",
    "serve",
]
