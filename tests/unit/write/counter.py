"""A counter to decide about: it is begun once, counts up, and doesn't count beyond its limit."""

from typing import Any

from diptych.errors import NotFound, Refused
from diptych.event import Event
from diptych.handlers import MISSING
from diptych.log import EventStore
from diptych.write.aggregate import Aggregate
from diptych.write.bus import CommandBus
from diptych.write.command import Command
from diptych.write.repository import Repository


class Begun(Event):
    limit: int


class Counted(Event):
    by: int


class Elsewhen(Event):
    at: str


EVENTS: list[type[Event]] = [Begun, Counted, Elsewhen]


class LimitReached(Refused):
    pass


class BegunBefore(Refused):
    pass


class Counter(Aggregate[Begun | Counted]):
    limit = 0
    total = 0

    def begin(self, limit: int) -> None:
        if self.version:
            raise BegunBefore(self.id)
        self.record(Begun(limit=limit))

    def count(self, by: int) -> None:
        if self.total + by > self.limit:
            raise LimitReached(f"{self.total} + {by} > {self.limit}")
        self.record(Counted(by=by))

    def apply(self, event: Begun | Counted) -> None:
        match event:
            case Begun(limit=limit):
                self.limit = limit
            case Counted(by=by):
                self.total += by


class Begin(Command[str]):
    counter: str
    limit: int = 1000


class Count(Command[int]):
    counter: str
    by: int = 1


class Look(Command[int]):
    counter: str


commands = CommandBus()


@commands.handler
async def begin(command: Begin, counters: Repository[Counter]) -> str:
    try:
        counter = await counters.load(command.counter)
    except NotFound:
        counter = Counter(command.counter)
    counter.begin(command.limit)
    await counters.save(counter)
    return counter.id


@commands.handler
async def count(command: Count, counters: Repository[Counter]) -> int:
    counter = await counters.load(command.counter)
    counter.count(command.by)
    await counters.save(counter)
    return counter.total


@commands.handler
async def look(command: Look, counters: Repository[Counter]) -> int:
    return (await counters.load(command.counter)).total


def bound(event_store: EventStore, bus: CommandBus = commands) -> CommandBus:
    """A bus as an application binds it."""
    found: dict[Any, object] = {Repository[Counter]: Repository(event_store, Counter), EventStore: event_store}
    return bus.bind(lambda asked: found.get(asked, MISSING), event_store)
