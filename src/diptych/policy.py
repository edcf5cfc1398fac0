"""
Ask the application's policy before a command or a query is handled: who may do and see what.

A policy is asked for every message on both buses, wherever it comes from. What it
doesn't allow is denied: only True lets a message pass, and `Only` a query to some rows.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, TypeAlias

from diptych.context import current_metadata
from diptych.errors import Forbidden, Misuse
from diptych.handlers import Call, Middleware
from diptych.message import Message
from diptych.read.ask.query import Query
from diptych.read.ask.scope import within


@dataclass(frozen=True, slots=True, init=False)
class Only:
    """
    Lets a query see some rows only: those that have these values in Key or Indexed columns.

        async def policy(principal: str | None, message: Message) -> bool | Only:
            return Only(customer_id=principal) if isinstance(message, OrderById) else principal == "admin"
    """

    scope: dict[str, Any]

    def __init__(self, **scope: Any) -> None:
        object.__setattr__(self, "scope", scope)


Verdict: TypeAlias = bool | Only | None
Policy: TypeAlias = Callable[[str | None, Message], Verdict | Awaitable[Verdict]]


def asking(policy: Policy) -> Middleware:
    """Middleware that lets pass what a policy allows."""

    async def guard(message: Any, call_next: Call) -> Any:
        given = policy(current_metadata().actor, message)
        verdict = (await given) if isawaitable(given) else given
        if verdict is True:
            return await call_next(message)
        if not isinstance(verdict, Only):
            raise Forbidden(type(message).__name__)
        if not isinstance(message, Query):
            raise Misuse(f"the policy answered {verdict} to {type(message).__name__}: a command sees no rows")
        if not verdict.scope or None in verdict.scope.values():
            raise Forbidden(type(message).__name__)
        with within(verdict.scope):
            return await call_next(message)

    return guard
