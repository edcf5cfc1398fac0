"""
Load aggregates from their streams and save what they recorded.

While a command is handled, `save` stages and the bus commits; elsewhere it
commits at once. A load of a command reads without waiting for durability: an append
that builds on it becomes durable together with it or not at all, and the unit of work
makes sure of it before any other answer.
"""

from typing import Any, Generic

from typing_extensions import TypeVar

from diptych.context import current_metadata
from diptych.errors import NotFound, Unreadable, WrongCategory, WrongVersion
from diptych.event import RawEvent, RecordedEvent
from diptych.log import EventStore, ToStream
from diptych.past import At
from diptych.store.port import NO_STREAM
from diptych.write.aggregate import Aggregate, event_types, stream_of
from diptych.write.unit_of_work import UnitOfWork, current_unit

A = TypeVar("A", bound=Aggregate[Any])


class Repository(Generic[A]):
    """The aggregates of one class in one log."""

    def __init__(self, event_store: EventStore, aggregate_type: type[A]) -> None:
        self._event_store, self._type = event_store, aggregate_type

    async def load(self, id: str, expected_version: int | None = None, *, at: At | None = None) -> A:
        """
        An aggregate as its stream says it is; the same object again within one command.

        Args:
            expected_version: The version that the caller has seen and wants to change.
            at: As of this position, or of this time; None for now. What was loaded so is for looking at: saved, it
                is refused once the stream has gone on.

        Raises:
            NotFound: Its stream has no events; or none yet, then.
            WrongVersion: It moved on since *expected_version*.
            NewerSchema: It holds an event that only newer code can read.
            Unreadable: It holds an event that no class here has the name of: deciding without it could be wrong.
        """
        stream, unit = stream_of(self._type.category, id), current_unit() if at is None else None
        aggregate = await (self._read(stream, id, None, at) if unit is None else self._known(unit, stream, id))
        if unit is not None and expected_version is not None:
            unit.names_version = True
        if expected_version is not None and aggregate.version != expected_version:
            raise WrongVersion(stream=stream, expected=expected_version, actual=aggregate.version)
        return aggregate

    async def save(self, aggregate: A) -> None:
        """
        Store what an aggregate recorded, behind the version that it was loaded at.

        Raises:
            WrongVersion: Another writer came first; while a command is handled, its dispatch raises it.
        """
        stream, unit = stream_of(self._type.category, aggregate.id), current_unit()
        events = aggregate.uncommitted_events
        before = aggregate.version - len(events)
        if unit is not None:
            unit.use(self._event_store)
            unit.know(self._type, stream, aggregate, version=before)
        if events:
            added = ToStream(stream, self._type.category, events, before or NO_STREAM)
            if unit is not None:
                unit.stage(added, after=before)
            else:
                await self._event_store.commit([added], None, current_metadata())
            aggregate.forget_uncommitted(len(events))

    async def _known(self, unit: UnitOfWork, stream: str, id: str) -> A:
        unit.use(self._event_store)
        known: A | None = unit.known(self._type, stream)
        if known is not None:
            return known
        aggregate = await self._read(stream, id, unit)
        return unit.know(self._type, stream, aggregate, version=aggregate.version)

    async def _read(self, stream: str, id: str, unit: UnitOfWork | None, at: At | None = None) -> A:
        # Without a unit nobody makes sure later that what is shown here stays.
        recorded = await self._event_store.read_stream(stream, at=at, durable=unit is None)
        if not recorded:
            raise NotFound(self._type.category, id)
        if unit is not None:
            unit.saw(recorded[-1])
        if recorded[0].stream_type != self._type.category:
            raise WrongCategory(stream=stream, given=self._type.category, actual=recorded[0].stream_type)
        aggregate = self._type(id)
        for event in recorded:
            self._replay(aggregate, event)
        return aggregate

    def _replay(self, aggregate: A, event: RecordedEvent[Any]) -> None:
        self._event_store.codec.require(event)
        if isinstance(event.data, RawEvent):
            raise Unreadable(
                type=event.event_type,
                position=event.global_position,
                why=f"{self._type.__name__} is loaded from it, and no class of its events has that name. If one was "
                f"renamed, say so in it, class New(Event, was=({event.event_type!r},)); a class that is gone is still "
                f"needed to read what it wrote",
            )
        if isinstance(event.data, event_types(self._type)):
            aggregate.replay(event.data)
        else:  # known to the program, and of no concern to this aggregate
            aggregate.version += 1
