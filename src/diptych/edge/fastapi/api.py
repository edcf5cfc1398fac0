"""
Make a FastAPI application of a Diptych one: a route a message, its errors, its health, its life.
"""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi_offline import FastAPIOffline

from diptych.app import LOG_URL, READ_URL, Diptych, Running
from diptych.edge.fastapi.positions import PositionCookie
from diptych.edge.fastapi.problems import problem, problems
from diptych.edge.fastapi.routes import add_route, add_status_route
from diptych.edge.fastapi.settings import Endpoint, Principal, Settings, running_of
from diptych.message import Message
from diptych.read.query import QueryBus
from diptych.write.bus import CommandBus

Routes: TypeAlias = Mapping[str, type[Message] | Endpoint]


def api(
    app: Diptych,
    routes: Routes,
    *,
    log: str | None = None,
    read: str | None = None,
    title: str = "Diptych",
    principal: Principal = lambda request: None,
    wait_s: float = 2.0,
    patience_s: float = 10.0,
    cookie: bool = False,
) -> FastAPI:
    """
    Serve an application over HTTP.

        http = api(app, {"POST /orders": PlaceOrder, "GET /orders/{order_id}": OrderById})

    Args:
        routes: A method and a path to a message, or an `Endpoint` that says more. Fixed parts of a path
            go before parameters, in whatever order they are listed.
        log: URL of the log. Default: `DIPTYCH_LOG_URL`, else a file under ./data/.
        read: URL of the read database. Default: `DIPTYCH_READ_URL`, else a file under ./data/.
        principal: Who asks; an `Idempotency-Key` belongs to one principal.
        wait_s: Seconds that a read with `Diptych-Position` may wait before it is answered as `Diptych-Stale`.
        patience_s: Seconds that a repeat waits for the first of its `Idempotency-Key` before it is answered 409.
        cookie: Whether browsers keep the position of what they wrote as a cookie; see `PositionCookie`.

    Raises:
        BadMessage: A route that can't work.
        NoHandler: A route leads to a message that nobody handles.
    """

    @asynccontextmanager
    async def lifespan(http: FastAPI) -> AsyncIterator[None]:
        urls = (
            log or os.environ.get("DIPTYCH_LOG_URL") or LOG_URL,
            read or os.environ.get("DIPTYCH_READ_URL") or READ_URL,
        )
        async with app.open(*urls) as running:
            attach(http, running)
            yield

    http = FastAPIOffline(title=title, lifespan=lifespan)
    problems(http)
    if cookie:
        http.add_middleware(PositionCookie)
    router, settings = APIRouter(), Settings(principal, wait_s, patience_s)
    for route in sorted(routes, key=_fixed_first):
        found = routes[route]
        endpoint = found if isinstance(found, Endpoint) else Endpoint(found)
        add_route(router, route, endpoint, settings)
        app.require_handler(endpoint.message)
    add_status_route(router, settings)
    http.include_router(router)
    http.include_router(_health())
    return http


def attach(http: FastAPI, running: Running) -> None:
    """Let the requests of *http* reach an open application."""
    http.state.diptych = running
    http.state.command_bus, http.state.query_bus = running.commands, running.queries


def get_command_bus(request: Request) -> CommandBus:
    """The open application's command bus, for `Depends`."""
    bus: CommandBus = request.app.state.command_bus
    return bus


def get_query_bus(request: Request) -> QueryBus:
    """The open application's query bus, for `Depends`."""
    bus: QueryBus = request.app.state.query_bus
    return bus


def _health() -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/livez", summary="Whether the process is alive")
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @router.get("/readyz", summary="Whether it can serve requests")
    async def readyz(request: Request) -> Response:
        ready, why = await running_of(request).ready()
        return JSONResponse({"status": why}) if ready else problem(503, "not-ready", why)

    return router


def _fixed_first(route: str) -> tuple[bool, ...]:
    return tuple(part.startswith("{") for part in route.split("/"))
