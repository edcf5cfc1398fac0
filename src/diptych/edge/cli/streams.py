"""`diptych streams`: what things the log tells of."""

import asyncio
from collections.abc import Sequence
from typing import Annotated

import typer

from diptych.edge.cli.options import LOG_URL, Json, Log, looking_at
from diptych.edge.cli.printing import console, events_table, more, print_lines, streams_table, told_event, told_stream
from diptych.errors import NotFound
from diptych.store.port import StoredEvent, StreamRow

streams: typer.Typer = typer.Typer(help="What things the log tells of.", no_args_is_help=True)

Limit = Annotated[int, typer.Option(min=1, help="At most so many.")]


@streams.command("list")
def list_(
    log: Log = LOG_URL,
    category: Annotated[str | None, typer.Option(help="Only of this category.")] = None,
    after: Annotated[int, typer.Option(min=0, help="Only those that began after this position.")] = 0,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """List streams in the order they began in."""
    found = asyncio.run(_list(log, category, after, limit))
    if json:
        print_lines(map(told_stream, found))
    else:
        console().print(streams_table(found))
        more(found[-1].began if len(found) == limit else None)


@streams.command("show")
def show(
    stream: Annotated[str, typer.Argument(help="Such as Order-3f2a.")],
    log: Log = LOG_URL,
    after: Annotated[int, typer.Option(min=0, help="Only what follows this version.")] = 0,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """Show the events of a stream, in order."""
    found = asyncio.run(_show(log, stream, after, limit))
    if json:
        print_lines(map(told_event, found))
    else:
        console().print(events_table(found))
        more(found[-1].version if len(found) == limit else None)


async def _list(log: str, category: str | None, after: int, limit: int) -> Sequence[StreamRow]:
    async with looking_at(log) as store:
        return await store.streams(after, limit=limit, category=category)


async def _show(log: str, stream: str, after: int, limit: int) -> Sequence[StoredEvent]:
    async with looking_at(log) as store:
        found = await store.read_stream(stream, after=after, limit=limit)
        if not found and await store.position_of(stream, 1) is None:
            raise NotFound("stream", stream)
        return found
