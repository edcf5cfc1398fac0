"""
Turn messages into routes: fill one from the request, hand it to its bus, answer with headers.
"""

import inspect
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import quote

import msgspec
from fastapi import APIRouter, Body, Path, Query, Request, Response
from pydantic import BaseModel

from diptych.context import acting
from diptych.edge.fastapi.models import (
    input_model,
    message_of,
    output,
    output_model,
    own_fields,
    result_type,
    wire_name,
)
from diptych.edge.fastapi.problems import MEDIA_TYPE, ProblemModel
from diptych.edge.fastapi.requests import MessageRoute, command_id_of, digest_of
from diptych.errors import BadMessage, NotFound
from diptych.message import Message
from diptych.read.consistency import Answer
from diptych.token import Token
from diptych.write.command import Command, Receipt

POSITION, STALE = "Diptych-Position", "Diptych-Stale"
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
Principal = Callable[[Request], str | None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    How a message is reached.

    Args:
        status: Of a successful answer.
        location: The `Location` of what was made; `{names}` are filled from the path and the result.
    """

    message: type[Message]
    status: int = 200
    location: str | None = None


def add_route(router: APIRouter, route: str, endpoint: Endpoint, *, principal: Principal, wait_s: float) -> None:
    """
    Serve a message under a route such as "POST /orders/{order_id}/items".

    Raises:
        BadMessage: The path names something that is no field of the message.
    """
    method, _, path = route.partition(" ")
    in_path = frozenset(part.strip("{}") for part in path.split("/") if part.startswith("{"))
    fields = own_fields(endpoint.message)
    if unknown := in_path - {wire_name(name) for name in fields}:
        raise BadMessage(f"{route!r}: {endpoint.message.__name__} has no field {', '.join(sorted(unknown))}")
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
        responses=_problems(is_command),
        route_class_override=MessageRoute,
    )


def _answer_command(endpoint: Endpoint, principal: Principal) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def answer(request: Request, message: BaseModel, **in_path: Any) -> Response:
        values, actor = message_of(endpoint.message, message, in_path), principal(request)
        command_id = command_id_of(request, actor or "anonymous")
        digest = await digest_of(request) if command_id else None
        if command_id is not None:
            values["command_id"] = command_id
        with acting(actor=actor, traceparent=request.headers.get("traceparent")):
            receipt = await request.app.state.diptych.execute(endpoint.message(**values), digest=digest)
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
    values = {**in_path, **(named if isinstance(named, dict) else {})}
    return location.format_map({name: quote(str(value), safe="") for name, value in values.items()})


def _answer_query(endpoint: Endpoint, wait_s: float) -> Callable[..., Coroutine[Any, Any, Response]]:
    async def answer(request: Request, message: BaseModel, **in_path: Any) -> Response:
        values = message_of(endpoint.message, message, in_path)
        position = request.headers.get(POSITION)
        after = None if position is None else Token.decode(position)
        query = endpoint.message(**values)
        found: Answer[Any] = await request.app.state.diptych.ask(query, after=after, timeout_s=wait_s)
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


def _problems(is_command: bool) -> dict[int | str, dict[str, Any]]:
    described = {400: "Malformed", 404: "Not found", 422: "Not the shape that is asked for", 503: "Not now"}
    if is_command:
        described[409] = "A rule refused, or another came first"
    content = {MEDIA_TYPE: {"schema": ProblemModel.model_json_schema()}}
    return {status: {"description": text, "content": content} for status, text in described.items()}
