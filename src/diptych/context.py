"""
Carry what is known about the present work from its beginning to the events it causes.

Context variables: each task has its own, and a task started inside inherits.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from itertools import count
from typing import Any

import msgspec

from diptych.event import Metadata

_NOTHING = Metadata()
_current: ContextVar[Metadata] = ContextVar("diptych_metadata", default=_NOTHING)


_command_ids: ContextVar[Callable[[], str] | None] = ContextVar("diptych_command_ids", default=None)


def current_metadata() -> Metadata:
    """The metadata that an event appended here would carry."""
    return _current.get()


def set_metadata(metadata: Metadata) -> "Token[Metadata]":
    """Give every event appended from here on this metadata, until the token is given to `reset_metadata`."""
    return _current.set(metadata)


def reset_metadata(token: "Token[Metadata]") -> None:
    """Take back what `set_metadata` gave."""
    _current.reset(token)


@contextmanager
def acting(
    *,
    actor: str | None = None,
    correlation_id: str | None = None,
    causation_id: str | None = None,
    command_id: str | None = None,
    traceparent: str | None = None,
    **extra: Any,
) -> Iterator[Metadata]:
    """
    Give every event appended inside this metadata; what isn't named stays as it was outside.

        with acting(actor="ann", tenant="north"):
            await bus.dispatch(PlaceOrder(...))
    """
    outer = _current.get()
    named = {
        "actor": actor,
        "correlation_id": correlation_id,
        "causation_id": causation_id,
        "command_id": command_id,
        "traceparent": traceparent,
    }
    inner = msgspec.structs.replace(
        outer, extra={**outer.extra, **extra}, **{name: value for name, value in named.items() if value is not None}
    )
    token = _current.set(inner)
    try:
        yield inner
    finally:
        _current.reset(token)


def next_command_id() -> str | None:
    """The id for a command that is dispatched here without one of its own; None for a new one."""
    following = _command_ids.get()
    return None if following is None else following()


@contextmanager
def naming_commands(name: str) -> Iterator[None]:
    """Give the commands dispatched inside ids made of *name*, the same ones when the same is done again."""
    numbers = count(1)

    def following() -> str:
        number = next(numbers)
        return name if number == 1 else f"{name}-{number}"

    token = _command_ids.set(following)
    try:
        yield
    finally:
        _command_ids.reset(token)
