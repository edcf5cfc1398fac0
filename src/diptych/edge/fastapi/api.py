"""
Make a FastAPI application of a Diptych one: a route a message, its errors, its health, its life.

`router` is all of it for an application of one's own, `api` an application that has nothing else.
"""

import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Annotated, TypeAlias, TypedDict

from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi_offline import FastAPIOffline
from typing_extensions import Unpack

from diptych.app import LOG_URL, READ_URL, Diptych, Running
from diptych.edge.fastapi.checks import check_route
from diptych.edge.fastapi.ending import announced
from diptych.edge.fastapi.health import add_health
from diptych.edge.fastapi.live import Events, Live, Streams
from diptych.edge.fastapi.positions import PositionCookie
from diptych.edge.fastapi.problems import problems
from diptych.edge.fastapi.routes import add_route, add_status_route, add_stream_route, connect
from diptych.edge.fastapi.settings import Crowd, Endpoint, Limits, Principal, Settings
from diptych.errors import Misuse
from diptych.message import Message
from diptych.read.ask.query import QueryBus
from diptych.write.bus import CommandBus

Routes: TypeAlias = Mapping[str, type[Message] | Endpoint | Events | Live]


class Options(TypedDict, total=False):
    """
    What `api` and `router` may be told beside the routes.

    Attributes:
        log: URL of the log. Default: `DIPTYCH_LOG_URL`, else a file under ./data/. "none" serves the queries alone.
        read: URL of the read database. Default: `DIPTYCH_READ_URL`, else a file under ./data/.
        principal: Who asks; an `Idempotency-Key` belongs to one principal.
        wait_s: Seconds (2) that a read with a position may wait before it is answered as `Diptych-Stale`.
        patience_s: Seconds (10) that a repeat waits for the first of its `Idempotency-Key` before it is answered 409.
        runner: Whether this process keeps read models in step as well. Default: `DIPTYCH_RUNNER`, on or off, else on.
        limits: What one request may ask for, and how many at once.
    """

    log: str | None
    read: str | None
    principal: Principal
    wait_s: float
    patience_s: float
    runner: bool | None
    limits: Limits


def api(
    app: Diptych, routes: Routes, *, title: str = "Diptych", cookie: bool = False, **options: Unpack[Options]
) -> FastAPI:
    """
    Serve an application over HTTP.

        http = api(app, {"POST /orders": PlaceOrder, "GET /orders/{order_id}": OrderById})

    Args:
        routes: A method and a path to a message, or an `Endpoint` that says more; `Events` or `Live` for what
            goes on. Fixed parts of a path go before parameters, in whatever order they are listed.
        cookie: Whether browsers keep the position of what they wrote as a cookie; see `PositionCookie`.
        options: See `Options`.

    Raises:
        BadMessage: A route that can't work.
        NoHandler: A route leads to a message that nobody handles.
    """
    http = FastAPIOffline(title=title, lifespan=_lifespan(app, options), redirect_slashes=False)
    problems(http)
    if cookie:
        http.add_middleware(PositionCookie)
    _fill(http.router, app, routes, options, is_alone=True)
    return http


def router(app: Diptych, routes: Routes, **options: Unpack[Options]) -> APIRouter:
    """
    The routes of an application, its health and its life, for a FastAPI application of one's own.

        http = FastAPI()
        http.include_router(diptych.fastapi.router(app, {"POST /orders": PlaceOrder}))

    The application is opened when the server starts, and closed when it ends. Errors of its routes are
    answered as problems; for those of one's own routes there is `problems`.

    Args:
        routes: See `api`.
        options: See `Options`.

    Raises:
        BadMessage: A route that can't work.
        NoHandler: A route leads to a message that nobody handles.
    """
    made = APIRouter(lifespan=_lifespan(app, options))
    _fill(made, app, routes, options, is_alone=False)
    return made


def _fill(target: APIRouter, app: Diptych, routes: Routes, options: Options, *, is_alone: bool) -> None:
    limits = options.get("limits", Limits())
    settings = Settings(
        options.get("principal", lambda request: None),
        options.get("wait_s", 2.0),
        options.get("patience_s", 10.0),
        limits,
        Crowd("queries that wait for a position", limits.waiting),
        app.policy is not None,
        is_alone,
    )
    ordered = sorted(routes, key=_fixed_first)
    endpoints = {
        route: found if isinstance(found, Endpoint) else Endpoint(found)
        for route in ordered
        if not isinstance(found := routes[route], Events | Live)
    }
    for route, endpoint in endpoints.items():
        check_route(route, endpoint.message, endpoint.location)
        app.require_handler(endpoint.message)
    streams = Streams(settings)
    for route in ordered:
        if route in endpoints:
            add_route(target, route, endpoints, settings)
        elif isinstance(found := routes[route], Events | Live):
            add_stream_route(target, route, found, streams)
    add_status_route(target, settings)
    add_health(target)
    connect(target, limits)


def _lifespan(app: Diptych, options: Options) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(http: FastAPI) -> AsyncIterator[None]:
        urls = (
            options.get("log") or os.environ.get("DIPTYCH_LOG_URL") or LOG_URL,
            options.get("read") or os.environ.get("DIPTYCH_READ_URL") or READ_URL,
        )
        runner = options.get("runner")
        async with app.open(*urls, runner=_runs() if runner is None else runner) as running:
            attach(http, running)
            with announced(running):
                yield

    return lifespan


def _runs() -> bool:
    given = os.environ.get("DIPTYCH_RUNNER") or "on"
    if given not in ("on", "off"):
        raise Misuse(f"DIPTYCH_RUNNER is {given!r}: say on or off")
    return given == "on"


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


Commands: TypeAlias = Annotated[CommandBus, Depends(get_command_bus)]
"""The open application's command bus, as a parameter of a route of one's own."""

Queries: TypeAlias = Annotated[QueryBus, Depends(get_query_bus)]
"""The open application's query bus, as a parameter of a route of one's own."""


def _fixed_first(route: str) -> tuple[bool, ...]:
    return tuple(part.startswith("{") for part in route.split("/"))
