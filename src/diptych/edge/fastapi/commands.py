"""
Answer commands: fill one from the request, hand it to its bus, answer with where its events are.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias
from urllib.parse import quote

import msgspec
from fastapi import Request, Response
from msgspec import Struct
from starlette.exceptions import HTTPException

from diptych.codec import check
from diptych.context import acting
from diptych.edge.fastapi.answers import json_response
from diptych.edge.fastapi.background import POLL_AGAIN_S, Background
from diptych.edge.fastapi.conditions import IF_MATCH, IF_NONE_MATCH, condition_of, etag_of
from diptych.edge.fastapi.models import may_hold_a_time, own_fields
from diptych.edge.fastapi.positions import POSITION, linked
from diptych.edge.fastapi.preferences import Preferences, preferences_of
from diptych.edge.fastapi.problems import problem_of
from diptych.edge.fastapi.requests import KEY, command_id_of, digest_of, key_of
from diptych.edge.fastapi.settings import Endpoint, Settings, running_of
from diptych.errors import CommandIdReused, Refused
from diptych.message import new_id
from diptych.write.command import Command, Receipt
from diptych.write.condition import Condition

STATUS_PATH = "/commands/{key}"
WHICH_VERSION = (
    f"say which version you mean: {IF_MATCH} with the ETag that you have seen, or {IF_NONE_MATCH}: * for something new"
)
Values: TypeAlias = dict[str, Any]
Answering: TypeAlias = Callable[[Request, Values, Mapping[str, Any]], Coroutine[Any, Any, Response]]


class KeyReused(CommandIdReused):
    """A key names one request."""

    def __init__(self, key: str) -> None:
        Refused.__init__(
            self, f"{KEY} {key!r} was used for another request: send that one again unchanged, or take a new key"
        )
        self.key = key


class Sent(Struct, frozen=True):
    """A command as a request asks for it; its key may be one that was made here."""

    command: Command[Any]
    actor: str | None
    key: str | None
    digest: bytes | None
    condition: Condition | None
    preferences: Preferences
    in_path: Mapping[str, Any]


class CommandAnswers:
    """Answers the requests that carry a command."""

    def __init__(self, path: str, endpoint: Endpoint, settings: Settings) -> None:
        self._endpoint, self._settings, self._depth = endpoint, settings, path.count("/")
        self._has_times = any(map(may_hold_a_time, own_fields(endpoint.message).values()))

    async def __call__(self, request: Request, values: Values, in_path: Mapping[str, Any]) -> Response:
        """Hand a command of these values to its bus."""
        running_of(request).require_log(self._endpoint.message.__name__)
        sent = await self._sent(request, values, in_path)
        if sent.preferences.respond_async:
            return await self._later(request, sent)
        return await self._now(request, sent)

    async def _sent(self, request: Request, values: Values, in_path: Mapping[str, Any]) -> Sent:
        condition, preferences = condition_of(request), preferences_of(request)
        if self._endpoint.insist and condition is None:
            raise HTTPException(428, WHICH_VERSION)
        actor, digest = self._settings.principal(request), None
        key = key_of(request) or (new_id() if preferences.respond_async else None)
        if key is not None:
            values["command_id"], digest = command_id_of(key, actor), await digest_of(request)
        if self._has_times:
            check(values, "the request")  # pydantic lets a time pass that has no zone
        command: Any = self._endpoint.message(**values)
        return Sent(command, actor, key, digest, condition, preferences, in_path)

    async def _now(self, request: Request, sent: Sent) -> Response:
        settings = self._settings
        patience_s = sent.preferences.waiting(settings.patience_s, settings.limits.wait_s)
        with acting(actor=sent.actor, traceparent=request.headers.get("traceparent")), _keys_by_name(sent.key):
            receipt: Receipt[Any] = await running_of(request).execute(
                sent.command, digest=sent.digest, condition=sent.condition, patience_s=patience_s
            )
        token = receipt.token
        headers = {"ETag": etag_of(receipt.version), POSITION: token}
        if self._endpoint.location is not None:
            location = _filled(self._endpoint.location, receipt.result, sent.in_path)
            headers["Location"] = linked(self._mounted(request) + location, token)
        if sent.key is not None:
            headers |= sent.preferences.applied(settings.limits.wait_s)
        return json_response(receipt.result, self._endpoint.status, headers)

    async def _later(self, request: Request, sent: Sent) -> Response:
        """Where to ask how it ended; the answer itself where it comes before the client's patience ends."""

        async def answer() -> Response:
            try:
                return await self._now(request, sent)
            except Exception as error:  # noqa: BLE001  # whoever asks for its status is told
                return await problem_of(request, error)

        task = Background.of(request).begin(sent.command.command_id, answer())
        longest_s = self._settings.limits.wait_s
        if wait_s := sent.preferences.waiting(0, longest_s):
            await asyncio.wait([task], timeout=wait_s)
        if task.done():
            return task.result()
        headers = sent.preferences.applied(longest_s, respond_async=True)
        location = self._mounted(request) + _filled(STATUS_PATH, None, {"key": sent.key})
        headers |= {"Location": location, "Retry-After": str(POLL_AGAIN_S)}
        return json_response({"status": "pending"}, 202, headers)

    def _mounted(self, request: Request) -> str:
        """What stands before the path as it was declared: of a router's prefix, of a mount, of a proxy."""
        raw_path: str = request.scope["raw_path"].partition(b"?")[0].decode("ascii")
        return "/".join(raw_path.split("/")[: -self._depth])


def _filled(location: str, result: Any, in_path: Mapping[str, Any]) -> str:
    """A path with its {names} filled from the request's and the result, whatever characters they hold."""
    named = msgspec.to_builtins(result)
    values = {**in_path, **(named if isinstance(named, dict) else {"result": named})}
    return location.format_map({name: quote(str(value), safe="") for name, value in values.items()})


@contextmanager
def _keys_by_name(key: str | None) -> Iterator[None]:
    """Name the key that the client sent, where the id that was made of it was used before."""
    try:
        yield
    except CommandIdReused as reused:
        if key is not None:
            raise KeyReused(key) from reused
        raise
