"""
Say how an application is served: what holds for all its routes, and what for one.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

from fastapi import Request

from diptych.app import Running
from diptych.errors import Misuse, Overloaded
from diptych.message import Message

Principal: TypeAlias = Callable[[Request], str | None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """
    How a message is reached.

    Args:
        message: A subclass of Command or Query.
        status: Of a successful answer.
        location: The `Location` of what was made; `{names}` are filled from the path and the result's fields,
            `{result}` is a result that has none.
        insist: Whether a command must say by `If-Match` or `If-None-Match` which version it means.
    """

    message: type[Message]
    status: int = 200
    location: str | None = None
    insist: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """
    What one request may ask for, and how many at once.

    Attributes:
        body_bytes: Of a body; 413 beyond.
        query_bytes: Of a query string; 414 beyond.
        wait_s: Seconds that a client may wait, however long it prefers to.
        waiting: Queries that wait for a position; 503 beyond.
        streams: Streams of events and of results; 503 beyond.
    """

    body_bytes: int = 2 * 1024 * 1024
    query_bytes: int = 8 * 1024
    wait_s: int = 30
    waiting: int = 2000
    streams: int = 1000


class Crowd:
    """How many are at something, bounded."""

    def __init__(self, what: str, limit: int) -> None:
        self._what, self._limit, self._there = what, limit, 0

    @contextmanager
    def joined(self) -> Iterator[None]:
        """
        Be one of them for as long as the block runs.

        Raises:
            Overloaded: There are as many as may be.
        """
        if self._there >= self._limit:
            raise Overloaded(self._what, self._limit)
        self._there += 1
        try:
            yield
        finally:
            self._there -= 1


@dataclass(frozen=True, slots=True)
class Settings:
    """
    What holds for every route; see `api`.

    *is_guarded* says that the application has a policy, *is_alone* that no dependencies stand around its routes.
    """

    principal: Principal
    wait_s: float
    patience_s: float
    limits: Limits
    waiting: Crowd
    is_guarded: bool
    is_alone: bool


def running_of(request: Request) -> Running:
    """The open application that a request is for."""
    running: Running | None = getattr(request.app.state, "diptych", None)
    if running is None:
        raise Misuse(
            "no application is open behind this route: run the lifespan of what api() made (a mounted application's "
            "is not run by itself, a test client's is inside `with`), or attach(http, running)"
        )
    return running
