"""
Say what happens elsewhere when an event does: a mail, a command, another system.

An effect outside the read database can't commit together with a checkpoint: it
happens at least once, and again after a crash between the two. So every event has
an id for each reaction that never changes, by which the other side tells a repeat.
"""

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Generic, Literal

from typing_extensions import TypeVar

from diptych.context import acting, naming_commands
from diptych.errors import BadProjection
from diptych.event import Event, RecordedEvent
from diptych.generics import arguments_of
from diptych.handlers import Handler, made_of
from diptych.read.projections.failure import OnFailure, Park
from diptych.read.projections.projection import AnyProjection

E = TypeVar("E", default=Any)


class Reaction(AnyProjection, Generic[E]):
    """
    Follows the log like a projection, and keeps nothing.

        class MailOnShipping(Reaction[OrderShipped]):
            def __init__(self, mailer: Mailer) -> None:
                self.mailer = mailer

            async def react(self, event: RecordedEvent[OrderShipped]) -> None:
                await self.mailer.send(event.data.order_id, message_id=self.id_of(event))

    What its constructor asks for is found by type when the application opens, as for handlers, `CommandBus`
    included. A command that is dispatched in `react` without an id of its own happens once: it has that of
    the reaction.

    Attributes:
        name: Default: snake_case of the class. Part of its ids and of its checkpoint: it is not to change.
        start: Where it begins when it is first deployed: at the "head" of the log, or at its "beginning".
        on_failure: Default: events that fail are parked, with the later ones of their stream behind them, until
            somebody has them tried again or skips them. An `Unavailable` is tried again for ever.
    """

    start: ClassVar[Literal["head", "beginning"]] = "head"
    on_failure: ClassVar[OnFailure] = Park(tries=10)

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if cls.version != 1:
            raise BadProjection(f"{cls.__name__} has a version: a reaction builds nothing that could have another")
        if cls.partitions != 1:
            raise BadProjection(f"{cls.__name__} has partitions: a reaction lets one event happen after the other")
        if cls.start not in ("head", "beginning"):
            raise BadProjection(f'{cls.__name__} has start = {cls.start!r}: say "head" or "beginning"')

    @abstractmethod
    async def react(self, event: RecordedEvent[E]) -> None:
        """Let it happen; called again with the same event where it may not have."""

    def id_of(self, event: RecordedEvent[Any]) -> str:
        """What names the effect of an event, every time: letters, digits, "-" and "_" as far as its parts do."""
        return f"{self.name}-{event.event_id}"

    @classmethod
    def _arguments(cls) -> tuple[Any, ...]:
        return arguments_of(cls, Reaction)


def undecided(reaction: type[Reaction[Any]]) -> Reaction[Any]:
    """A reaction as far as its class tells: what its constructor asks for is not there yet."""
    return object.__new__(reaction)


def maker_of(reaction: type[Reaction[Any]]) -> Handler:
    """How a reaction is made of what its constructor asks for."""
    return made_of(reaction)


async def deliver(reaction: Reaction[Any], event: RecordedEvent[Any]) -> None:
    """Let a reaction happen, in the name of what it reacts to."""
    with _in_the_name_of(event), naming_commands(reaction.id_of(event)):
        await reaction.react(event)


@contextmanager
def _in_the_name_of(event: RecordedEvent[Event]) -> Iterator[None]:
    correlation_id = event.metadata.correlation_id or event.event_id
    with acting(causation_id=event.event_id, correlation_id=correlation_id):
        yield
