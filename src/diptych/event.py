"""
The values that flow through the hinge: events, and events as they were recorded.

An event is a fact in the past tense and never changes. Its stored name and
schema version belong to its class, so that a class can be renamed or moved.
"""

from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic

import msgspec
from typing_extensions import TypeVar

from diptych.errors import BadMessage
from diptych.message import Message


class EventType(msgspec.Struct, frozen=True):
    """How a class of events is known in the log."""

    name: str
    version: int
    was: tuple[str, ...]


class Event(Message):
    """
    A fact that happened. A subclass is a frozen keyword-only dataclass.

    Class keywords: `version` is the schema version of its shape (1, 2, …),
    `name` its stored type name (default: the class's), `was` its former names.

        class ItemAdded(Event, version=2, was=("LineAdded",)):
            order_id: str
            quantity: int
    """

    if TYPE_CHECKING:

        def __init_subclass__(cls, *, version: int = 1, name: str | None = None, was: tuple[str, ...] = ()) -> None: ...

    else:

        def __init_subclass__(cls, *, version=1, name=None, was=(), **keywords) -> None:
            if "_event_type" not in cls.__dict__:  # `slots=True` builds a class again, without its keywords
                type.__setattr__(cls, "_event_type", _event_type(cls, version, name, was))
            super().__init_subclass__(**keywords)


def event_type(cls: type[Event]) -> EventType:
    """The stored name, schema version and former names of an event class."""
    kind: EventType = cls.__dict__["_event_type"]
    return kind


def _event_type(cls: type, version: int, name: str | None, was: tuple[str, ...] | str) -> EventType:
    if type(version) is not int or version < 1:
        raise BadMessage(f"{cls.__name__} has version={version!r}: a schema version is 1, 2, …")
    if isinstance(was, str):
        raise BadMessage(f"{cls.__name__} has was={was!r}: give a tuple of names, was=({was!r},)")
    return EventType(name or cls.__name__, version, tuple(was))


class RawEvent(msgspec.Struct, frozen=True):
    """An event of a type that this program doesn't know, or of a newer schema version, as stored."""

    type: str
    schema_version: int
    payload: dict[str, Any]


class Metadata(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """
    What is known of an event beside the fact: who, because of what, in the course of what.

    Events that were appended together may share one: nobody changes its `extra`.
    """

    correlation_id: str | None = None
    causation_id: str | None = None
    command_id: str | None = None
    actor: str | None = None
    traceparent: str | None = None
    extra: dict[str, Any] = {}


E = TypeVar("E", default=Any)


class RecordedEvent(msgspec.Struct, Generic[E], frozen=True, gc=False):
    """
    An event with its place in the log.

    `version` counts within the stream from 1; `global_position` increases over
    the whole log, with holes; `recorded_at` is the log's clock, in UTC, and
    never goes back along positions.
    """

    event_id: str
    stream_id: str
    stream_type: str
    event_type: str
    data: E
    metadata: Metadata
    version: int
    global_position: int
    recorded_at: datetime
