"""
Read a request: its path value by value, its body bounded, as JSON whose numbers stay exact.
"""

import json
import re
from collections.abc import Callable, Coroutine
from decimal import Decimal, InvalidOperation
from hashlib import blake2b
from http import HTTPStatus
from typing import Any, NoReturn, Protocol, TypeAlias
from urllib.parse import unquote

import msgspec
from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Message, Receive, Scope, Send

from diptych.edge.fastapi.positions import take_from_link
from diptych.edge.fastapi.problems import problem_of
from diptych.edge.fastapi.settings import Limits

MAX_KEY_CHARACTERS = 255
MAX_EXPONENT = 400  # beyond all that a float holds
KEY = "Idempotency-Key"
WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
JSON = re.compile(r"application/([^;\s]+\+)?json\s*(;|$)", re.IGNORECASE)
SLASH = "\udc2f"  # stands for a slash inside a value: no decoded path can hold this character


Answer: TypeAlias = Callable[[Request], Coroutine[Any, Any, Response]]


class DirectAnswers(Protocol):
    """Answers the requests of a route by itself."""

    def takes(self, request: Request) -> bool:
        """Whether it answers this one."""

    async def answer(self, request: Request) -> Response:
        """Answer it."""


class MessageRequest(Request):
    """A request whose body is bounded, and whose JSON keeps decimals as they are written."""

    limits: Limits = Limits()

    async def body(self) -> bytes:
        """The body, at most `limits.body_bytes` of it; what it says of its length is not believed."""
        if not hasattr(self, "_body"):
            chunks, size = [], 0
            async for chunk in self.stream():
                chunks.append(chunk)
                size += len(chunk)
                if size > self.limits.body_bytes:
                    raise HTTPException(413, f"the body is larger than {self.limits.body_bytes} bytes")
            self._body = b"".join(chunks)
        return self._body

    async def json(self) -> Any:
        """The body as JSON: no NaN, no float."""
        if not hasattr(self, "_json"):
            try:
                self._json = json.loads(await self.body(), parse_float=_exactly, parse_constant=_refuse)
            except json.JSONDecodeError:
                raise
            except RecursionError as error:
                raise json.JSONDecodeError("nested too deep", "", 0) from error
            except ValueError as error:  # not UTF-8, or an integer of thousands of digits
                raise json.JSONDecodeError("no text, or a number beyond all bounds", "", 0) from error
        return self._json


class MessageRoute(APIRoute):
    """
    A route that reads its requests as `MessageRequest`, and whose path may hold any value.

    HEAD is answered as GET is, without the body (RFC 9110, section 9.3.2).

    Attributes:
        allowed: The methods that its path has, on this route and others.
        asking: Those of them that change nothing.
        limits: What a request may ask for.
        direct: What answers without FastAPI's dependencies, where there are none.
        is_endless: Whether its answers go on for ever: nobody is told their head alone.
    """

    is_endless: bool = False
    allowed: frozenset[str] = frozenset()
    asking: frozenset[str] = frozenset()
    limits: Limits = Limits()
    direct: DirectAnswers | None = None

    @property
    def answers_to(self) -> frozenset[str]:
        """The methods of requests that it answers."""
        methods = frozenset(self.methods or ())
        return methods | {"HEAD"} if "GET" in methods and not self.is_endless else methods

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; one whose method the path doesn't have is told which it has."""
        if scope["method"] == "HEAD" and "HEAD" in self.answers_to:
            scope, send = _as_get(scope), _without_body(send)
        if scope["method"] not in (self.methods or ()):
            raise HTTPException(405, headers={"Allow": ", ".join(sorted(self.allowed))})
        if self.direct is None:
            await super().handle(scope, receive, send)
            return
        take_from_link(scope)
        request = self._better(scope, receive)
        if not self.direct.takes(request):
            await super().handle(scope, receive, send)
            return
        response = await self._answered(request, self.direct.answer)
        await response(scope, receive, send)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether the path is this route's; a %2F in it belongs to a value, it parts nothing."""
        scope = _as_get(scope) if scope["method"] == "HEAD" else scope
        raw_path = scope.get("raw_path", b"").partition(b"?")[0].decode("ascii")
        if "%2" not in raw_path or "%2f" not in raw_path.lower():
            return super().matches(scope)
        segments = [unquote(segment).replace("/", SLASH) for segment in raw_path.split("/")]
        match, matched = super().matches({**scope, "path": "/".join(segments)})
        in_path = matched.get("path_params", {})
        in_path.update({name: value.replace(SLASH, "/") for name, value in in_path.items() if isinstance(value, str)})
        return match, matched

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given the better request."""
        handler = super().get_route_handler()

        async def handle(request: Request) -> Response:
            take_from_link(request.scope)
            return await self._answered(self._better(request.scope, request.receive), handler)

        return handle

    def _better(self, scope: Scope, receive: Receive) -> MessageRequest:
        request = MessageRequest(scope, receive)
        request.limits = self.limits
        return request

    async def _answered(self, request: MessageRequest, answer: Answer) -> Response:
        """The answer, or the problem instead of one."""
        try:
            self._refuse_what_is_too_long(request)
            if request.method in WITH_BODY:
                _insist_on_json(request)
            return await answer(request)
        except Exception as error:  # noqa: BLE001  # whatever application this route is put into
            problem = await problem_of(request, error)
            if problem.status_code == HTTPStatus.METHOD_NOT_ALLOWED:  # of the path, but not in this process
                problem.headers["Allow"] = ", ".join(sorted(self.asking))
            return problem

    def _refuse_what_is_too_long(self, request: Request) -> None:
        if len(request.scope["query_string"]) > self.limits.query_bytes:
            raise HTTPException(414, f"the query string is longer than {self.limits.query_bytes} bytes")
        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > self.limits.body_bytes:
            raise HTTPException(413, f"the body is larger than {self.limits.body_bytes} bytes")


def _as_get(scope: Scope) -> Scope:
    return {**scope, "method": "GET"}


def _without_body(send: Send) -> Send:
    """Send the head of an answer, and end it there."""

    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body"})

    return send_head


def key_of(request: Request) -> str | None:
    """The `Idempotency-Key` of a request; None without one."""
    key = request.headers.get(KEY)
    if key is not None and not 0 < len(key) <= MAX_KEY_CHARACTERS:
        raise HTTPException(400, f"{KEY} must have 1 to {MAX_KEY_CHARACTERS} characters")
    return key


def command_id_of(key: str, principal: str | None) -> str:
    """The command id that a key names for its principal: another principal's same key names another command."""
    return blake2b(msgspec.json.encode([principal, key]), digest_size=16).hexdigest()


async def digest_of(request: Request) -> bytes:
    """What tells whether a repeat is the same request: method, path, query string and parsed body."""
    body = await request.json() if request.method in WITH_BODY and await request.body() else None
    whole = [request.method, request.scope["path"], sorted(request.query_params.multi_items()), body]
    return blake2b(msgspec.json.encode(whole, order="deterministic"), digest_size=16).digest()


def _insist_on_json(request: Request) -> None:
    """Refuse a body that is said to be something else, as forms are; one that is empty is nothing at all."""
    kind = request.headers.get("content-type", "")
    is_empty = request.headers.get("content-length", "0") == "0" and "transfer-encoding" not in request.headers
    if not is_empty and not JSON.match(kind):
        raise HTTPException(415, f"the body is {kind or 'of no type'}: send JSON, with Content-Type: application/json")


def _exactly(number: str) -> Decimal:
    """A number with a fraction or an exponent; one that would take minutes to write out is none."""
    try:
        exact = Decimal(number)
    except InvalidOperation as error:
        raise json.JSONDecodeError("a number beyond all bounds", number, 0) from error
    if abs(exact.adjusted()) > MAX_EXPONENT:
        raise json.JSONDecodeError("a number beyond all bounds", number, 0)
    return exact


def _refuse(constant: str) -> NoReturn:
    raise json.JSONDecodeError(f"{constant} is no JSON", constant, 0)
