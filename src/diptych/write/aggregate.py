"""
Decide in an object: methods check the rules and record events, `apply` keeps the state.
"""

from typing import Any, ClassVar, Generic

from typing_extensions import TypeVar

from diptych.codec import check
from diptych.errors import BadMessage
from diptych.event import Event
from diptych.generics import arguments_of, members_of
from diptych.message import new_id

E = TypeVar("E", default=Any)


class Categorised:
    """What has streams of a category of its own: the class's name, unless it or a base says `category = "…"`."""

    category: ClassVar[str] = ""
    _says_category: ClassVar[bool] = False

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        cls._says_category |= "category" in cls.__dict__
        if not cls._says_category:
            cls.category = cls.__name__


class Aggregate(Categorised, Generic[E]):
    """
    One thing that keeps its own rules; `E` are the events it records.

        class Order(Aggregate[OrderPlaced | OrderShipped]):
            shipped = False

            def ship(self) -> None:
                if self.shipped:
                    raise AlreadyShipped(self.id)
                self.record(OrderShipped(order_id=self.id))

            def apply(self, event: OrderPlaced | OrderShipped) -> None:
                match event:
                    case OrderShipped():
                        self.shipped = True

    Its stream is `<category>-<id>`. State begins as class attributes, or in an
    `__init__(self, id=None)` that calls this one. `version` counts the events
    applied, uncommitted ones too.

    Args:
        id: None makes a new one.
    """

    def __init__(self, id: str | None = None) -> None:
        self.id: str = new_id() if id is None else id
        self.version: int = 0
        self._uncommitted: list[Event] = []

    @property
    def uncommitted_events(self) -> tuple[Event, ...]:
        """What was recorded and not yet saved."""
        return tuple(self._uncommitted)

    def record(self, event: E) -> None:
        """
        Apply a new event, to be stored when the aggregate is saved.

        Raises:
            BadMessage: It is none of the events that the class names as `E`.
        """
        if not isinstance(event, own := event_types(type(self))):
            names = ", ".join(each.__name__ for each in own)
            raise BadMessage(f"{type(self).__name__} recorded {event!r}, which is none of its events: {names}")
        self.replay(event)
        self._uncommitted.append(event)

    def replay(self, event: E) -> None:
        """Apply an event that happened already."""
        self.apply(event)
        self.version += 1

    def apply(self, event: E) -> None:
        """Change the state as *event* says; never validates. Without it, the events leave no state."""

    def forget_uncommitted(self, count: int) -> None:
        """Take the first *count* events for saved."""
        del self._uncommitted[:count]


def state_of(aggregate: Aggregate[Any]) -> dict[str, Any]:
    """What an aggregate knows, by name: its id and version, and whatever its class and its events have set."""
    own = type(aggregate).__mro__[: type(aggregate).__mro__.index(Aggregate)]
    declared = {name: value for kind in reversed(own) for name, value in vars(kind).items() if _is_state(name, value)}
    known = declared | {name: value for name, value in vars(aggregate).items() if not name.startswith("_")}
    return {"id": known.pop("id"), "version": known.pop("version"), **known}


def _is_state(name: str, value: Any) -> bool:
    is_code = callable(value) or hasattr(value, "__get__")
    return not (name.startswith("_") or name in ("category", "decider") or is_code)


def event_types(aggregate_type: type[Aggregate[Any]]) -> tuple[type[Event], ...]:
    """The events that an aggregate names as `E`; `Event` itself where it names none."""
    known: tuple[type[Event], ...] | None = aggregate_type.__dict__.get("_event_types")
    if known is None:
        known = members_of(next(iter(arguments_of(aggregate_type, Aggregate)), None)) or (Event,)
        aggregate_type._event_types = known  # type: ignore[attr-defined]  # read above, from this class alone
    return known


def stream_of(category: str, id: str) -> str:
    """
    The stream of a thing.

    Raises:
        BadMessage: The id is empty.
        NotStorable: The id holds what no database can.
    """
    if not id:
        raise BadMessage(f"a {category} has the id {id!r}: give text that isn't empty")
    check(id, f"the id of a {category}")
    return f"{category}-{id}"
