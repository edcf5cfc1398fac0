"""
Say how an application is served: what holds for all its routes, and what for one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from fastapi import Request

from diptych.app import Running
from diptych.errors import Misuse
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
class Settings:
    """What holds for every route; see `api`."""

    principal: Principal
    wait_s: float = 2.0
    patience_s: float = 10.0
    longest_wait_s: int = 30


def running_of(request: Request) -> Running:
    """The open application that a request is for."""
    running: Running | None = getattr(request.app.state, "diptych", None)
    if running is None:
        raise Misuse(
            "no application is open behind this route: run the lifespan of what api() made (a mounted application's "
            "is not run by itself, a test client's is inside `with`), or attach(http, running)"
        )
    return running
