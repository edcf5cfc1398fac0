"""`diptych events`: what is in the log, as it is stored."""

import asyncio
import sys
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, TypeAlias

import typer

from diptych.edge.cli.options import LOG_URL, Json, Log, looking_at, moment
from diptych.edge.cli.printing import event_line, more, print_event, print_json, told_event
from diptych.edge.cli.running import told_to_stop
from diptych.errors import NotFound
from diptych.past import check_goes_further, position_at
from diptych.store.port import Store, StoredEvent

PAGE = 1_000
POLL_S = 1.0

events: typer.Typer = typer.Typer(help="What is in the log, as it is stored.", no_args_is_help=True)

Categories: TypeAlias = Annotated[
    list[str] | None, typer.Option("--category", help="Only of this one; may be repeated.")
]
Types: TypeAlias = Annotated[list[str] | None, typer.Option("--type", help="Only of this one; may be repeated.")]
WRITTEN = "2026-11-24T13:00, in UTC unless it says else; or 2h ago: 2h."
Since: TypeAlias = Annotated[
    datetime | None, typer.Option(parser=moment, metavar="TIME", help=f"At this time or later: {WRITTEN}")
]
Until: TypeAlias = Annotated[
    datetime | None, typer.Option(parser=moment, metavar="TIME", help=f"At this time or earlier: {WRITTEN}")
]


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are wanted."""

    categories: tuple[str, ...]
    types: tuple[str, ...]
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    after: int = 0

    def takes(self, event: StoredEvent) -> bool:
        """Whether an event of the categories and types has the text in it, whatever the case of its letters."""
        if not self.text:
            return True
        whole = b"\n".join((event.payload, event.metadata)).decode()
        return self.text.casefold() in f"{event.stream}\n{event.id}\n{whole}".casefold()


@events.command("show")
def show(position: Annotated[int, typer.Argument(min=1)], log: Log = LOG_URL, json: Json = False) -> None:
    """Show the event at a position."""
    found = asyncio.run(_at(log, position))
    if json:
        print_json(told_event(found))
    else:
        print_event(found)


@events.command("tail")
def tail(
    log: Log = LOG_URL,
    *,
    category: Categories = None,
    type: Types = None,
    lines: Annotated[int, typer.Option(min=0, help="Begin with so many of the last ones.")] = 10,
    follow: Annotated[bool, typer.Option(help="Go on with each that is appended, until SIGINT or SIGTERM.")] = True,
    json: Json = False,
) -> None:
    """Show the last events, and each one as it is appended."""
    asyncio.run(_tail(log, Filter(tuple(category or ()), tuple(type or ())), lines, _printer(json), follow=follow))


@events.command("search")
def search(
    text: Annotated[str, typer.Argument(help="What payload, metadata, stream or id has in it.")] = "",
    log: Log = LOG_URL,
    *,
    category: Categories = None,
    type: Types = None,
    since: Since = None,
    until: Until = None,
    after: Annotated[int, typer.Option(min=0, help="Only what follows this position.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    json: Json = False,
) -> None:
    """Search events, oldest first."""
    wanted = Filter(tuple(category or ()), tuple(type or ()), text, since, until, after)
    goes_on = asyncio.run(_search(log, wanted, limit, _printer(json)))
    if not json:
        more(goes_on)


Print: TypeAlias = Callable[[StoredEvent], None]


def _printer(json: bool) -> Print:
    def print_(event: StoredEvent) -> None:
        if json:
            print_json(told_event(event))
        else:
            sys.stdout.write(event_line(event) + "\n")
        sys.stdout.flush()

    return print_


async def _at(log: str, position: int) -> StoredEvent:
    async with looking_at(log) as store:
        found = await store.event_at(position)
        if found is None:
            head = await store.head()
            ends = f"the log ends at position {head}" if position > head else "positions have holes, and that is one"
            raise NotFound("event at position", position, f"does not exist: {ends}")
        return found


async def _tail(log: str, wanted: Filter, lines: int, print_: Print, *, follow: bool) -> None:
    told = told_to_stop()
    async with looking_at(log) as store:
        position = await store.head()
        for event in await _last(store, wanted, position, lines):
            print_(event)
        following = asyncio.create_task(_follow(store, wanted, position, print_))
        stopping = asyncio.create_task(told.wait())
        if follow:
            await asyncio.wait([following, stopping], return_when=asyncio.FIRST_COMPLETED)
        for task in (following, stopping):
            task.cancel()
        await asyncio.wait([following, stopping])
        if not following.cancelled():
            following.result()


async def _follow(store: Store, wanted: Filter, position: int, print_: Print) -> None:
    while True:
        page = await store.read(position, limit=PAGE, categories=wanted.categories, types=wanted.types)
        for event in page.events:
            print_(event)
        position = page.through
        if len(page.events) < PAGE:
            await store.wait_beyond(position, POLL_S)


async def _last(store: Store, wanted: Filter, through: int, number: int) -> list[StoredEvent]:
    """The last events up to a position: a longer and longer stretch before it is looked through until it has enough."""
    stretch = 2 * number
    while number:
        begin = max(0, through - stretch)
        found = deque([event async for event in _matching(store, wanted, begin, through)], maxlen=number)
        if len(found) == number or begin == 0:
            return list(found)
        stretch *= 8
    return []


async def _search(log: str, wanted: Filter, limit: int, print_: Print) -> int | None:
    """Print what is found; the position to go on after, None where nothing more can be."""
    async with looking_at(log) as store:
        through = await store.head() if wanted.until is None else await position_at(store, wanted.until)
        begin = 0 if wanted.since is None else await _ended_before(store, wanted.since)
        async for event in _matching(store, wanted, max(wanted.after, begin), through):
            print_(event)
            limit -= 1
            if not limit:
                return event.position
    return None


async def _ended_before(store: Store, time: datetime) -> int:
    """Where a log ended just before a time: what was recorded at that time comes behind."""
    is_first = time.replace(tzinfo=UTC) == datetime.min.replace(tzinfo=UTC)
    return 0 if is_first else await position_at(store, time - timedelta.resolution)


async def _matching(store: Store, wanted: Filter, after: int, through: int) -> AsyncIterator[StoredEvent]:
    while after < through:
        page = await store.read(after, limit=PAGE, categories=wanted.categories, types=wanted.types)
        check_goes_further(page, after, through)
        for event in page.events:
            if event.position > through:
                return
            if wanted.takes(event):
                yield event
        after = page.through
