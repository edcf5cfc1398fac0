"""
Turn messages into routes: fill one from the request, hand it to its bus, answer with headers.
"""

import inspect
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import BaseModel

from diptych.app import Running
from diptych.context import acting
from diptych.edge.fastapi.checks import check_route, names_in
from diptych.edge.fastapi.description import KEY, POSITION, STALE, described_headers, described_responses
from diptych.edge.fastapi.models import (
    input_model,
    message_of,
    output,
    output_model,
    own_fields,
    result_type,
    wire_name,
)
from diptych.edge.fastapi.requests import WITH_BODY, MessageRoute, command_id_of, digest_of
from diptych.errors import CommandIdReused, Misuse, NotFound, Refused
from diptych.message import Message
from diptych.read.consistency import Answer
from diptych.token import Token
from diptych.write.command import Command, Receipt

Principal = Callable[[Request], str | None]


class KeyReused(CommandIdReused):
    """A key names one request."""

    def __init__(self, key: str) -> None:
        Refused.__init__(
            self, f"{KEY} {key!r} was used for another request: send that one again unchanged, or take a new key"
        )
        self.key = key


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    How a message is reached.

    Args:
        message: A subclass of Command or Query.
        status: Of a successful answer.
        location: The `Location` of what was made; `{names}` are filled from the path and the result's fields,
            `{result}` is a result that has none.
    """

    message: type[Message]
    status: int = 200
    location: str | None = None


def add_route(router: APIRouter, route: str, endpoint: Endpoint, *, principal: Principal, wait_s: float) -> None:
    """
    Serve a message under a route such as "POST /orders/{order_id}/items".

    Raises:
        BadMessage: The route can't work; see `check_route`.
    """
    method, _, path = route.partition(" ")
    check_route(route, endpoint.message, endpoint.location)
    in_path = names_in(path)
    is_command = issubclass(endpoint.message, Command)
    answer = _answer_command(endpoint, principal) if is_command else _answer_query(endpoint, wait_s)
    router.add_api_route(
        path,
        _with_signature(answer, endpoint.message, method, in_path),
        methods=[method],
        status_code=endpoint.status,
        name=endpoint.message.__name__,
        tags=["commands" if is_command else "queries"],
        summary=(endpoint.message.__doc__ or endpoint.message.__name__).strip().splitlines()[0],
        response_model=output_model(result_type(endpoint.message)),
        responses=described_responses(endpoint.status, is_command=is_command),
        openapi_extra={"parameters": described_headers(is_command=is_command)},
        route_class_override=MessageRoute,
    )


def _answer_command(endpoint: Endpoint, principal: Principal) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def answer(request: Request, message: BaseModel, **in_path: Any) -> Response:
        values, actor = message_of(endpoint.message, message, in_path), principal(request)
        command_id = command_id_of(request, actor or "anonymous")
        digest = await digest_of(request) if command_id else None
        if command_id is not None:
            values["command_id"] = command_id
        with acting(actor=actor, traceparent=request.headers.get("traceparent")), _keys_by_name(request):
            command: Any = endpoint.message(**values)
            receipt: Receipt[Any] = await running_of(request).execute(command, digest=digest)
        return _command_answer(endpoint, receipt, in_path)

    return answer


def _command_answer(endpoint: Endpoint, receipt: Receipt[Any], in_path: Mapping[str, Any]) -> Response:
    headers = {"ETag": f'"{receipt.version}"', POSITION: receipt.token}
    if endpoint.location is not None:
        headers["Location"] = _filled(endpoint.location, receipt.result, in_path)
    return _json(receipt.result, endpoint.status, headers)


def _filled(location: str, result: Any, in_path: Mapping[str, Any]) -> str:
    """A path with its {names} filled from the request's and the result, whatever characters they hold."""
    named = msgspec.to_builtins(result)
    values = {**in_path, **(named if isinstance(named, dict) else {"result": named})}
    return location.format_map({name: quote(str(value), safe="") for name, value in values.items()})


def _answer_query(endpoint: Endpoint, wait_s: float) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def answer(request: Request, message: BaseModel, **in_path: Any) -> Response:
        values = message_of(endpoint.message, message, in_path)
        position = request.headers.get(POSITION)
        after = None if position is None else Token.decode(position)
        query: Any = endpoint.message(**values)
        found: Answer[Any] = await running_of(request).ask(query, after=after, timeout_s=wait_s)
        if found.data is None:
            raise NotFound(endpoint.message.__name__, ", ".join(map(str, in_path.values())))
        headers = {POSITION: found.token} if found.token else {}
        if found.stale and found.reason:
            headers[STALE] = found.reason
        return _json(output(found.data), endpoint.status, headers)

    return answer


def _json(value: Any, status: int, headers: Mapping[str, str]) -> Response:
    if status == HTTPStatus.NO_CONTENT:
        return Response(None, status, headers)
    return Response(msgspec.json.encode(value), status, headers, "application/json")


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


@contextmanager
def _keys_by_name(request: Request) -> Iterator[None]:
    """Name the key that the client sent, where the id that was made of it was used before."""
    try:
        yield
    except CommandIdReused as reused:
        if key := request.headers.get(KEY):
            raise KeyReused(key) from reused
        raise


def running_of(request: Request) -> Running:
    """The open application that a request is for."""
    running: Running | None = getattr(request.app.state, "diptych", None)
    if running is None:
        raise Misuse(
            "no application is open behind this route: run the lifespan of what api() made (a mounted application's "
            "is not run by itself, a test client's is inside `with`), or attach(http, running)"
        )
    return running
