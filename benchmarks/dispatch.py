"""
What a bus adds: to a direct call of an empty handler, and to an append by a command with an id.

The command with an id is looked up before its handler runs, and its id, digest and answer
are stored with its event; the other side is the append of the same event alone.
"""

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.compare import Result, compare
from diptych import Aggregate, Command, CommandBus, Diptych, Event, EventStore, Query, QueryBus, Repository, new_id


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


class Noted(Event):
    """A small fact."""

    text: str


class Note(Aggregate[Noted]):
    """Something that is noted."""


class Write(Command[None]):
    """Note something."""


writing = CommandBus()


@writing.handler
async def write(command: Write, notes: Repository[Note]) -> None:
    """Note it."""
    note = Note()
    note.record(Noted(text="hello"))
    await notes.save(note)


async def run(scale: float) -> list[Result]:
    """Microseconds a call, through the bus and direct."""
    calls = int(100_000 * scale)
    return [
        await _row("dispatch/command", commands.dispatch, do_nothing, Nothing(), calls),
        await _row("dispatch/query", queries.dispatch, answer_nothing, Ask(), calls),
        await _with_an_id(int(500 * scale)),
    ]


async def _with_an_id(calls: int) -> Result:
    with TemporaryDirectory() as folder:
        async with Diptych(writing).open(f"sqlite:///{folder}/log.db", f"sqlite:///{folder}/read.db") as running:

            async def command() -> float:
                return await _microseconds_of([running.dispatch(Write(command_id=new_id())) for _ in range(calls)])

            async def append() -> float:
                return await _microseconds_of([_append(running.event_store) for _ in range(calls)])

            return await compare("dispatch/command-id", command, append, unit="µs a call")


async def _append(event_store: EventStore) -> None:
    await event_store.append_events(stream_id=f"Note-{new_id()}", stream_type="Note", events=[Noted(text="hello")])


async def _microseconds_of(calls: Sequence[Coroutine[Any, Any, Any]]) -> float:
    began = perf_counter()
    for call in calls:
        await call
    return (perf_counter() - began) / len(calls) * 1e6


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
