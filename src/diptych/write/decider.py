"""
Decide in functions: `decide` says what happens, `evolve` folds it, `initial` is before everything.

The same fold as an aggregate's, with the state apart from the rules.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar, Generic

from typing_extensions import TypeVar

from diptych.errors import NotFound
from diptych.event import Event
from diptych.generics import arguments_of, members_of
from diptych.log import EventStore
from diptych.past import At
from diptych.write.aggregate import Aggregate, Categorised
from diptych.write.repository import Repository

C = TypeVar("C", default=Any)
S = TypeVar("S", default=Any)
E = TypeVar("E", default=Any)
D = TypeVar("D", bound="Decider[Any, Any, Any]")


class Decider(Categorised, ABC, Generic[C, S, E]):
    """
    Rules as pure functions: commands `C`, state `S`, events `E`.

        class Counting(Decider[Count, int, Counted]):
            def initial(self, id: str) -> int: ...
            def decide(self, command: Count, state: int) -> list[Counted]: ...
            def evolve(self, state: int, event: Counted) -> int: ...

    Its streams are `<category>-<id>`; the category is the class's name unless
    the class says otherwise.
    """

    @abstractmethod
    def initial(self, id: str) -> S:
        """The state before anything happened."""

    @abstractmethod
    def decide(self, command: C, state: S) -> Sequence[E]:
        """What happens, or raise why nothing does."""

    @abstractmethod
    def evolve(self, state: S, event: E) -> S:
        """The state after an event; never validates."""


class Decided(Aggregate[Any]):
    """A decider's state, dressed as an aggregate: one fold with two faces. See `decided_by`."""

    decider: ClassVar[Decider[Any, Any, Any]]

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id)
        self.state: Any = self.decider.initial(self.id)

    def decide(self, command: Any) -> tuple[Event, ...]:
        """Record what happens by a command, and return it."""
        events = tuple(self.decider.decide(command, self.state))
        for event in events:
            self.record(event)
        return events

    def apply(self, event: Any) -> None:
        """Evolve the state."""
        self.state = self.decider.evolve(self.state, event)


def decided_by(decider: Decider[Any, Any, Any]) -> type[Decided]:
    """The class of the things that a decider decides about."""
    own = members_of(next(iter(arguments_of(type(decider), Decider)[2:]), None)) or (Event,)
    attributes = {"category": decider.category, "decider": decider, "_event_types": own}
    return type(type(decider).__name__, (Decided,), attributes)


class Decisions(Generic[D]):
    """
    A decider over the streams of a log.

        events = await orders.decide(command.order_id, command)
    """

    def __init__(self, event_store: EventStore, decider: D) -> None:
        self._type = decided_by(decider)
        self._repository: Repository[Decided] = Repository(event_store, self._type)

    async def decide(self, id: str, command: Any) -> tuple[Event, ...]:
        """
        Fold the thing's events, decide, and store what happens; within a command it commits with it.

        Raises:
            WrongVersion: Another writer came first.
            Exception: Why the decider refused, unchanged.
        """
        try:
            decided = await self._repository.load(id)
        except NotFound:
            decided = self._type(id)
        events = decided.decide(command)
        await self._repository.save(decided)
        return events

    async def state(self, id: str, *, at: At | None = None) -> Any:
        """
        The state that a thing's events lead to.

        Args:
            at: As of this position, or of this time; None for now.

        Raises:
            NotFound: It has no events; or none yet, then.
        """
        return (await self._repository.load(id, at=at)).state
