"""
Answer every error as RFC 9457 `application/problem+json`: what happened, with its facts, and no internals.

The `type` of a problem is `urn:diptych:problem:` and a word that never changes; each
word has a section of that name in docs/problems.md (test_problems.py).
"""

import inspect
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from diptych.errors import (
    CommandIdReused,
    DiptychError,
    Forbidden,
    InProgress,
    InvalidQuery,
    LogRewound,
    Malformed,
    NotFound,
    NotStorable,
    PreconditionFailed,
    ReadSideOnly,
    Refused,
    Unavailable,
    WrongCategory,
    WrongVersion,
)
from diptych.generics import snake_case

_logger = logging.getLogger("diptych.http")

MEDIA_TYPE = "application/problem+json"
NOT_KEPT = {"Cache-Control": "no-store"}  # what is wrong now may be right in a moment
RETRY_AFTER_S = 1

# The nearest class of an error's ancestry says its status.
STATUSES: dict[type[Exception], int] = {
    Malformed: 400,
    NotFound: 404,
    Forbidden: 403,
    WrongVersion: 409,
    PreconditionFailed: 412,
    InProgress: 409,
    WrongCategory: 409,
    LogRewound: 409,
    ReadSideOnly: 405,
    CommandIdReused: 422,
    NotStorable: 422,
    InvalidQuery: 422,
    Refused: 409,
    Unavailable: 503,
    DiptychError: 500,
}


# What is refused before any of Diptych's errors is raised; the phrases of the standard library change.
KINDS = {
    400: "bad-request",
    401: "unauthorized",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    413: "content-too-large",
    414: "uri-too-long",
    415: "unsupported-media-type",
    428: "precondition-required",
    429: "too-many-requests",
    503: "unavailable",
}


class ProblemModel(BaseModel):
    """The members that every problem has; the facts of the error stand beside them."""

    type: str
    title: str
    status: int
    detail: str


def problem(
    status: int,
    kind: str,
    detail: str,
    facts: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem as a response; *facts* become members of their own."""
    title = kind.replace("-", " ").capitalize()
    body = {"type": f"urn:diptych:problem:{kind}", "title": title, "status": status, "detail": detail, **(facts or {})}
    return Response(msgspec.json.encode(body), status, {**NOT_KEPT, **(headers or {})}, MEDIA_TYPE)


def problems(app: FastAPI) -> None:
    """Let a FastAPI application answer Diptych's errors, its own and everybody else's as problems."""
    for kind, answer in _ANSWERS.items():
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(Exception, _unforeseen)


def kind_of(error: type[Exception]) -> str:
    """The word for a class of errors, `wrong-version` for `WrongVersion`."""
    return snake_case(error.__name__).replace("_", "-")


async def problem_of(request: Request, error: Exception) -> Response:
    """Any error as a problem; what nobody foresaw is logged, and tells nothing of the inside."""
    for kind, answer in _ANSWERS.items():
        if isinstance(error, kind):
            return await answer(request, error)
    return await _unforeseen(request, error)


async def _diptych_error(request: Request, error: Exception) -> Response:
    status = next(STATUSES[base] for base in type(error).__mro__ if base in STATUSES)
    if status == HTTPStatus.INTERNAL_SERVER_ERROR:
        return await _unforeseen(request, error)
    headers = {"Retry-After": str(RETRY_AFTER_S)} if isinstance(error, Unavailable) else None
    if _is_rule(error):
        detail = str(error) or inspect.getdoc(type(error)) or type(error).__name__
        return problem(status, "rule", detail, {"rule": type(error).__name__, **_facts(error)})
    return problem(status, kind_of(type(error)), str(error), _facts(error), headers)


async def _invalid_request(request: Request, error: Exception) -> Response:
    found = error.errors() if isinstance(error, RequestValidationError) else []
    if any(each["type"] == "json_invalid" for each in found):
        return problem(400, "malformed-json", f"the body is no JSON: {found[0].get('ctx', {}).get('error', 'broken')}")
    errors = [{"loc": list(each["loc"]), "msg": _told(each)} for each in _causes(found)]
    return problem(422, "invalid-request", "the request does not have the shape that is asked for", {"errors": errors})


def _causes(errors: Sequence[Any]) -> list[Any]:
    """The errors less those that only follow from one further inside: a list of broken items isn't too short."""
    places = [tuple(each["loc"]) for each in errors]
    return [
        each
        for each, place in zip(errors, places, strict=True)
        if not any(other[: len(place)] == place and len(other) > len(place) for other in places)
    ]


def _told(error: Mapping[str, Any]) -> str:
    """pydantic's message, in the words of JSON where it speaks of Python."""
    match error["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            return "there is no such field"
        case "too_short":
            return f"needs {error['ctx']['min_length']} or more items, has {error['ctx']['actual_length']}"
    return str(error["msg"]).removeprefix("Value error, ")


async def _http_error(request: Request, error: Exception) -> Response:
    status, detail, headers = 500, "", None
    if isinstance(error, HTTPException):
        status, detail, headers = error.status_code, str(error.detail), error.headers
    kind = KINDS.get(status, f"http-{status}")
    return problem(status, kind, detail, headers=headers)


async def _unforeseen(request: Request, error: Exception) -> Response:
    _logger.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(500, "internal-error", "the request failed for a reason that is not yours; it was logged")


async def _gone(request: Request, error: Exception) -> Response:
    """Its client went away before it had sent its body: nobody hears the answer, and nothing is wrong here."""
    return problem(400, "bad-request", "the connection ended before the body did")


def _is_rule(error: Exception) -> bool:
    """Whether an application's own rule refused."""
    return isinstance(error, Refused) and not type(error).__module__.startswith("diptych.")


def _facts(error: Exception) -> dict[str, Any]:
    """The attributes of an error that JSON has a form for; decimals and days as text, as in any answer."""
    named = {name: value for name, value in vars(error).items() if not name.startswith("_")}
    facts: dict[str, Any] = {}
    for name, value in named.items():
        with suppress(TypeError, ValueError, OverflowError):
            if name not in ProblemModel.model_fields:
                facts[name] = msgspec.json.decode(msgspec.json.encode(value))
    return facts


_ANSWERS: dict[type[Exception], Callable[[Request, Exception], Awaitable[Response]]] = {
    DiptychError: _diptych_error,
    RequestValidationError: _invalid_request,
    HTTPException: _http_error,
    ClientDisconnect: _gone,
}
