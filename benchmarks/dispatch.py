"""What a bus adds to a direct call of a handler: dispatching an empty one, for commands and for queries."""

from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any

from benchmarks.compare import Result, compare
from diptych import Command, CommandBus, Query, QueryBus


class Nothing(Command[None]):
    """A command that does nothing."""


class Ask(Query[None]):
    """A query that asks nothing."""


commands, queries = CommandBus(), QueryBus()


@commands.handler
async def do_nothing(command: Nothing) -> None:
    """Do nothing."""


@queries.handler
async def answer_nothing(query: Ask) -> None:
    """Answer nothing."""


async def run(backend: str, scale: float) -> list[Result]:
    """Microseconds a call, through the bus and direct."""
    calls = int(100_000 * scale)
    return [
        await _row("dispatch/command", commands.dispatch, do_nothing, Nothing(), calls),
        await _row("dispatch/query", queries.dispatch, answer_nothing, Ask(), calls),
    ]


async def _row(
    name: str,
    dispatch: Callable[[Any], Awaitable[Any]],
    handler: Callable[[Any], Awaitable[Any]],
    message: Any,
    calls: int,
) -> Result:
    async def through_the_bus() -> float:
        return await _microseconds(dispatch, message, calls)

    async def direct() -> float:
        return await _microseconds(handler, message, calls)

    return await compare(name, through_the_bus, direct, unit="µs a call")


async def _microseconds(call: Callable[[Any], Awaitable[Any]], message: Any, calls: int) -> float:
    began = perf_counter()
    for _ in range(calls):
        await call(message)
    return (perf_counter() - began) / calls * 1e6
