"""
Handle commands whose senders don't wait, and tell how each has ended.

A command that was accepted is told from the log, by every process and after every
restart. One under way or refused is known to the process that it was sent to, for
a while: elsewhere it isn't there, and may be sent again with its key.
"""

import asyncio
from collections.abc import Coroutine
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import Request, Response

from diptych.app import Running
from diptych.edge.fastapi.answers import json_response
from diptych.edge.fastapi.conditions import etag_of
from diptych.edge.fastapi.positions import POSITION, keep_position
from diptych.edge.fastapi.problems import NOT_KEPT
from diptych.edge.fastapi.settings import running_of
from diptych.errors import NotFound, Overloaded
from diptych.store.port import Outcome
from diptych.token import Token

UNDER_WAY, REMEMBERED = 1000, 1000
POLL_AGAIN_S = 1


class Background:
    """Commands under way behind the requests of one application, and the last that ended."""

    def __init__(self) -> None:
        self._tasks: dict[asyncio.Task[Response], str] = {}
        self._ended: dict[str, Response] = {}

    @staticmethod
    def of(request: Request) -> "Background":
        """That of the application which a request is for; it is let finish before the application closes."""
        state, running = request.app.state, running_of(request)
        known: tuple[Running, Background] | None = getattr(state, "diptych_background", None)
        if known is None or known[0] is not running:
            known = state.diptych_background = (running, Background())
            running.before_close.append(known[1].finish)
        return known[1]

    def begin(self, command_id: str, answering: Coroutine[Any, Any, Response]) -> "asyncio.Task[Response]":
        """
        Answer a command in the background, under its id; a repeat awaits the first by itself.

        Raises:
            Overloaded: So many are under way already.
        """
        if len(self._tasks) >= UNDER_WAY:
            answering.close()
            raise Overloaded("commands in the background", UNDER_WAY)
        task = asyncio.create_task(answering)
        self._tasks[task] = command_id
        task.add_done_callback(self._note)
        return task

    def answer(self, command_id: str) -> Response | None:
        """What a command was answered in this process, as far as that is remembered."""
        return self._ended.get(command_id)

    def is_under_way(self, command_id: str) -> bool:
        """Whether a command is being handled here."""
        return command_id in self._tasks.values()

    async def finish(self) -> None:
        """Let what is under way end."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _note(self, task: "asyncio.Task[Response]") -> None:
        command_id = self._tasks.pop(task)
        # What says "try again" is no end.
        if not task.cancelled() and task.exception() is None and "Retry-After" not in task.result().headers:
            self._ended[command_id] = task.result()
            while len(self._ended) > REMEMBERED:
                del self._ended[next(iter(self._ended))]


async def status_of(request: Request, key: str, command_id: str) -> Response:
    """
    How the command with a key has ended, or that it hasn't.

    Raises:
        NotFound: It was not accepted, and isn't under way here.
    """
    background = Background.of(request)
    if background.is_under_way(command_id):
        return json_response({"status": "pending"}, 200, NOT_KEPT | {"Retry-After": str(POLL_AGAIN_S)})
    running, answer = running_of(request), background.answer(command_id)
    outcome = await running.event_store.command(command_id)  # one that was refused may have been accepted since
    if outcome is None or outcome.command is None:
        if answer is None or answer.status_code < HTTPStatus.BAD_REQUEST:
            raise NotFound("command with the key", key)
        return _refused(answer)
    keep_position(request)
    if answer is None or answer.status_code >= HTTPStatus.BAD_REQUEST:
        return _from_log(outcome, outcome.command.result, running)
    return _accepted(answer)


def _refused(answer: Response) -> Response:
    told = {"status": "refused", "code": answer.status_code, "answer": _body_of(answer)}
    return json_response(told, 200, NOT_KEPT)


def _accepted(answer: Response) -> Response:
    told = {"status": "accepted", "answer": _body_of(answer), "location": answer.headers.get("Location")}
    return json_response(told, 200, NOT_KEPT | {name: answer.headers[name] for name in ("ETag", POSITION)})


def _body_of(answer: Response) -> msgspec.Raw | None:
    return msgspec.Raw(answer.body) if answer.body else None


def _from_log(outcome: Outcome, result: bytes, running: Running) -> Response:
    identity = running.event_store.identity
    stream, version = (outcome.ends[0].stream, outcome.ends[0].version) if outcome.ends else ("", 0)
    token = Token(outcome.position, stream, identity.log_id, identity.incarnation).encode()
    told = {"status": "accepted", "answer": msgspec.Raw(result), "location": None}
    return json_response(told, 200, NOT_KEPT | {"ETag": etag_of(version), POSITION: token})
