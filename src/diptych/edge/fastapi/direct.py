"""
Fill a message from a request in one step, where FastAPI has nothing else to solve for it.

It says word for word what FastAPI says of the same route (test_direct.py), and takes a
good part less of the time.
"""

import json
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeAlias

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError

from diptych.edge.fastapi.models import input_model, message_of, own_fields, wire_name
from diptych.edge.fastapi.requests import WITH_BODY
from diptych.message import Message

Answering: TypeAlias = Callable[[Request, dict[str, Any], Mapping[str, Any]], Coroutine[Any, Any, Response]]
_MISSING = {"type": "missing", "loc": ("body",), "msg": "Field required", "input": None}


class Direct:
    """Fills messages of one type for one route, and hands them to what answers them."""

    def __init__(self, message: type[Message], method: str, in_path: frozenset[str], answering: Answering) -> None:
        self._message, self._answering, self._has_body = message, answering, method in WITH_BODY
        self._model = input_model(message, in_path)
        self._is_optional = not any(field.is_required() for field in self._model.model_fields.values())
        hints = {wire_name(name): hint for name, hint in own_fields(message).items()}
        self._in_path = {name: None if hints[name] is str else TypeAdapter[Any](hints[name]) for name in in_path}

    def takes(self, request: Request) -> bool:
        """Whether it can fill the message; query strings are FastAPI's affair."""
        return self._has_body or (self._is_optional and not request.scope["query_string"])

    async def answer(self, request: Request) -> Response:
        """
        Answer a request.

        Raises:
            RequestValidationError: It doesn't have the shape that is asked for.
        """
        errors: list[Any] = []
        in_path = {name: self._value(name, request.path_params[name], errors) for name in self._in_path}
        model = await self._body(request, errors) if self._has_body else None
        if errors:
            raise RequestValidationError(errors)
        return await self._answering(request, message_of(self._message, model, in_path), in_path)

    def _value(self, name: str, text: Any, errors: list[Any]) -> Any:
        adapter = self._in_path[name]
        try:
            return text if adapter is None else adapter.validate_python(text)
        except ValidationError as wrong:
            errors += _placed(wrong, "path", name)
            return None

    async def _body(self, request: Request, errors: list[Any]) -> Any:
        if not await request.body():
            errors += [] if self._is_optional else [_MISSING]
            return None
        try:
            return self._model.model_validate(await _json_of(request), from_attributes=True)
        except ValidationError as wrong:
            errors += _placed(wrong, "body")
            return None


async def _json_of(request: Request) -> Any:
    try:
        return await request.json()
    except json.JSONDecodeError as broken:
        error = {"type": "json_invalid", "loc": ("body", broken.pos), "msg": "JSON decode error", "input": {}}
        raise RequestValidationError([{**error, "ctx": {"error": broken.msg}}]) from broken


def _placed(wrong: ValidationError, *place: str) -> list[Any]:
    return [{**each, "loc": (*place, *each["loc"])} for each in wrong.errors(include_url=False)]
