"""
Know the event classes of an application by their stored names: a closed list.

A name found in the log is looked up here, never imported. Upcasters turn the
payload of an older schema version into the next one's, without a gap.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias, TypeVar

from diptych.errors import BadCatalogue
from diptych.event import Event, event_type

Payload: TypeAlias = dict[str, Any]
Upcaster: TypeAlias = Callable[[Payload], Payload]
U = TypeVar("U", bound=Upcaster)


def upcast(event: type[Event], *, from_version: int) -> Callable[[U], U]:
    """
    Register a function that turns a payload of *from_version* into one of the next version.

        @upcast(ItemAdded, from_version=1)
        def _name_the_product(payload: dict[str, Any]) -> dict[str, Any]:
            return payload | {"product_name": None}

    Args:
        event: The class as it is now.
        from_version: 1 up to the class's version less one.

    Raises:
        BadCatalogue: There is one already, or no newer version to turn it into.
    """
    if not 1 <= from_version < event_type(event).version:
        raise BadCatalogue(
            f"an upcaster of {event.__name__} from version {from_version}: "
            f"the class is at version {event_type(event).version}, raise `version=` first"
        )

    def register(function: U) -> U:
        known = _upcasters(event)
        if from_version in known:
            raise BadCatalogue(f"{event.__name__} has an upcaster from version {from_version} already: keep one")
        known[from_version] = function
        return function

    return register


def _upcasters(event: type[Event]) -> dict[int, Upcaster]:
    if "_upcasters" not in event.__dict__:
        type.__setattr__(event, "_upcasters", {})
    found: dict[int, Upcaster] = event.__dict__["_upcasters"]
    return found


class Catalogue:
    """The event classes of one application, by every name they have had."""

    def __init__(self, events: Iterable[type[Event]]) -> None:
        self._by_name: dict[str, type[Event]] = {}
        for event in dict.fromkeys(events):
            _check_upcasters(event)
            for name in names_of(event):
                self._add(name, event)

    @classmethod
    def of(cls, events: Iterable[type[Event]] | None = None) -> "Catalogue":
        """
        The catalogue of these classes; None takes every class defined so far.

        Raises:
            BadCatalogue: Two classes share a name, or a chain of upcasters has a gap.
        """
        return cls(_defined_so_far() if events is None else events)

    def find(self, name: str) -> type[Event] | None:
        """The class that a stored type name stands for; None where it is unknown here."""
        return self._by_name.get(name)

    def __contains__(self, event: object) -> bool:
        return any(event is known for known in self._by_name.values())

    def __iter__(self) -> Iterator[type[Event]]:
        return iter(dict.fromkeys(self._by_name.values()))

    def _add(self, name: str, event: type[Event]) -> None:
        other = self._by_name.setdefault(name, event)
        if other is not event:
            raise BadCatalogue(
                f"{_full_name(other)} and {_full_name(event)} are both stored as {name!r}: "
                "give one of them name=, or name the application's own with events=[…]"
            )


def names_of(event: type[Event]) -> tuple[str, ...]:
    """Every stored type name of a class: today's first, then its former ones."""
    kind = event_type(event)
    return (kind.name, *kind.was)


def upcaster(event: type[Event], version: int) -> Upcaster:
    """The function that lifts a payload from this version to the next."""
    return _upcasters(event)[version]


def _check_upcasters(event: type[Event]) -> None:
    missing = set(range(1, event_type(event).version)) - set(_upcasters(event))
    if missing:
        raise BadCatalogue(
            f"{event.__name__} is at version {event_type(event).version} without an upcaster from version "
            f"{', '.join(map(str, sorted(missing)))}: register one with @upcast({event.__name__}, from_version=…)"
        )


def _defined_so_far() -> Iterable[type[Event]]:
    """Leaves and inner classes alike; of a class that was built twice, the later one."""
    latest: dict[str, type[Event]] = {}
    todo = list(Event.__subclasses__())
    for event in todo:
        todo.extend(event.__subclasses__())
        latest[_full_name(event)] = event
    return latest.values()


def _full_name(event: type[Event]) -> str:
    return f"{event.__module__}.{event.__qualname__}"
