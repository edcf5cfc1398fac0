"""
Turn messages into routes: show FastAPI where each value comes from, and what is answered.
"""

import inspect
from collections.abc import Callable, Coroutine, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import BaseModel

from diptych.codec import INT64
from diptych.edge.fastapi.background import status_of
from diptych.edge.fastapi.checks import check_route, names_in
from diptych.edge.fastapi.commands import STATUS_PATH, Answering, CommandAnswers
from diptych.edge.fastapi.description import (
    described_headers,
    described_responses,
    described_status,
)
from diptych.edge.fastapi.direct import Direct
from diptych.edge.fastapi.links import links_of, operation_ids
from diptych.edge.fastapi.live import Events, Live, Streams
from diptych.edge.fastapi.models import (
    has_version,
    input_model,
    message_of,
    output_model,
    own_fields,
    result_type,
    wire_name,
)
from diptych.edge.fastapi.queries import QueryAnswers
from diptych.edge.fastapi.requests import WITH_BODY, MessageRoute, command_id_of
from diptych.edge.fastapi.settings import Endpoint, Limits, Settings
from diptych.errors import BadMessage
from diptych.message import Message
from diptych.write.command import Command


def add_route(router: APIRouter, route: str, endpoints: Mapping[str, Endpoint], settings: Settings) -> None:
    """Serve a message under a route such as "POST /orders/{order_id}/items", one of several that are checked."""
    endpoint, (method, _, path) = endpoints[route], route.partition(" ")
    in_path, result = names_in(path), result_type(endpoint.message)
    is_command = issubclass(endpoint.message, Command)
    answering: Answering = CommandAnswers(path, endpoint, settings) if is_command else QueryAnswers(endpoint, settings)
    is_versioned = is_command or has_version(result)
    router.add_api_route(
        path,
        _with_signature(_filling(answering, endpoint.message), endpoint.message, method, in_path),
        methods=[method],
        status_code=endpoint.status,
        name=endpoint.message.__name__,
        operation_id=operation_ids(endpoints)[route],
        tags=["commands" if is_command else "queries"],
        summary=(endpoint.message.__doc__ or endpoint.message.__name__).strip().splitlines()[0],
        response_model=output_model(result),
        responses=described_responses(
            endpoint,
            links_of(route, endpoints),
            is_command=is_command,
            is_versioned=is_versioned,
            is_guarded=settings.is_guarded,
        ),
        openapi_extra={"parameters": described_headers(endpoint, is_command=is_command, is_versioned=is_versioned)},
        route_class_override=MessageRoute,
    )
    made = router.routes[-1]
    if settings.is_alone and isinstance(made, MessageRoute):
        made.direct = Direct(endpoint.message, method, in_path, answering)


def add_stream_route(router: APIRouter, route: str, found: Events | Live, streams: Streams) -> None:
    """
    Serve what goes on for ever. OpenAPI is told nothing of it: it has no words for an answer without an end.

    Raises:
        BadMessage: It isn't asked for by GET.
    """
    method, _, path = route.partition(" ")
    _check_stream(route, found)
    if isinstance(found, Live):
        answer = _with_signature(_watching(found, streams), found.query, method, names_in(path))
    else:
        answer = _telling(found, streams)
    router.add_api_route(path, answer, methods=[method], include_in_schema=False, route_class_override=MessageRoute)
    made = router.routes[-1]
    if isinstance(made, MessageRoute):
        made.is_endless = True


def _check_stream(route: str, found: Events | Live) -> None:
    if isinstance(found, Live):
        check_route(route, found.query, None)
    if not route.startswith("GET /"):
        raise BadMessage(f'route {route!r} watches: write GET, a space and a path, such as "GET /orders/live"')
    if isinstance(found, Events) and (not found.categories or names_in(route)):
        raise BadMessage(f"route {route!r} tells events: name one or more categories, and nothing to fill in the path")


def _watching(live: Live, streams: Streams) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def answer(request: Request, message: BaseModel, **in_path: Any) -> Response:
        return await streams.results(request, live, message_of(live.query, message, in_path))

    return answer


def _telling(events: Events, streams: Streams) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def answer(request: Request, after: Annotated[int | None, Query(ge=0, le=INT64[-1])] = None) -> Response:
        return await streams.events(request, events.categories, after)

    return answer


def add_status_route(router: APIRouter, settings: Settings) -> None:
    """Tell how a command ended whose sender didn't wait."""

    async def status(request: Request, key: str) -> Response:
        return await status_of(request, key, command_id_of(key, settings.principal(request)))

    router.add_api_route(
        STATUS_PATH,
        status,
        methods=["GET"],
        name="CommandStatus",
        tags=["commands"],
        summary="How a command has ended, by its key",
        responses=described_status(),
        route_class_override=MessageRoute,
    )


def connect(router: APIRouter, limits: Limits) -> None:
    """Let each route know what else its path is good for, and what its requests may ask for."""
    routes = [route for route in router.routes if isinstance(route, MessageRoute)]
    for route in routes:
        here = [other for other in routes if other.path == route.path]
        route.allowed = frozenset(method for other in here for method in other.answers_to)
        route.asking = frozenset(method for other in here if "queries" in other.tags for method in other.answers_to)
        route.limits = limits


def _filling(answering: Answering, message_type: type[Message]) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def answer(request: Request, message: BaseModel, **in_path: Any) -> Response:
        return await answering(request, message_of(message_type, message, in_path), in_path)

    return answer


def _with_signature(
    answer: Callable[..., Coroutine[Any, Any, Response]], message: type[Message], method: str, in_path: frozenset[str]
) -> Callable[..., Coroutine[Any, Any, Response]]:
    """Show FastAPI where each value comes from."""
    fields = {wire_name(name): hint for name, hint in own_fields(message).items()}
    model = input_model(message, in_path)
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter("request", keyword, annotation=Request)]
    parameters += [inspect.Parameter(name, keyword, annotation=Annotated[fields[name], Path()]) for name in in_path]
    source = Body() if method in WITH_BODY else Query()
    optional = method in WITH_BODY and not any(field.is_required() for field in model.model_fields.values())
    default = model() if optional else inspect.Parameter.empty
    parameters.append(inspect.Parameter("message", keyword, annotation=Annotated[model, source], default=default))
    answer.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # functions take attributes
    return answer
