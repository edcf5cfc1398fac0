"""
Set events aside that fail, and let those of their keys queue behind them, while the others go on.

Whoever owns a share is the only one who parks. Others may only drop or want what is
parked, and hold its checkpoint meanwhile: so what a batch finds parked behind its
fence is all there is.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.event import RecordedEvent
from diptych.read.books import parked
from diptych.read.books.checkpoint import Checkpoint, Share
from diptych.read.books.parked import Parked
from diptych.read.projections.failure import Park, in_words, stream_key
from diptych.read.projections.partitions import keys_of
from diptych.read.projections.projection import AnyProjection, Projection, TableProjection, TwoRoundProjection
from diptych.store.port import StoredEvent

_logger = logging.getLogger("diptych.projection")


class Full(Exception):
    """As many events of a projection are parked as may be."""


@dataclass(frozen=True, slots=True)
class Sorted:
    """The events of a batch: those that are applied, and those that queue behind what is parked."""

    applied: Sequence[RecordedEvent[Any]]
    queued: Sequence[tuple[RecordedEvent[Any], frozenset[str]]] = ()

    def up_to(self, position: int) -> "Sorted":
        """Those of both that lie at or below a position."""
        return Sorted(
            [each for each in self.applied if each.global_position <= position],
            [each for each in self.queued if each[0].global_position <= position],
        )


class Parking:
    """What is parked of one share, as its owner knows it."""

    def __init__(self, projection: AnyProjection, partition: int = 0) -> None:
        self._projection, self._mine = projection, keys_of(projection, partition)
        self._rows: list[Parked] = []

    @property
    def lowest(self) -> int | None:
        """The lowest position that is parked; None if nothing is."""
        return min((row.position for row in self._rows), default=None)

    def keys(self, event: RecordedEvent[Any]) -> frozenset[str]:
        """The keys by which an event is parked, or queues: those of this share's rows that it touches first."""
        match self._projection:
            case TableProjection() as table:
                return in_words(lambda event: self._mine(table.keys(event)), event)
            case TwoRoundProjection() as tables:
                return in_words(tables.memo_keys, event)
            case Projection() as free:
                return in_words(lambda event: (free.key(event),), event)
        return frozenset({stream_key(event.stream_id)})

    async def load(self, connection: AsyncConnection, held: Checkpoint) -> list[Parked]:
        """Learn what is parked now."""
        self._rows = await parked.of_share(connection, held)
        return self._rows

    async def sort(self, connection: AsyncConnection, held: Checkpoint, events: Sequence[RecordedEvent[Any]]) -> Sorted:
        """
        Which of a batch's events are applied; behind the fence.

        Asked is what was committed: the rows here may be those of a transaction that was not.
        """
        if held.parked_at is None:
            self._rows = []
            return Sorted(events)
        if not await self.load(connection, held):
            return Sorted(events)
        closed = {row.key for row in self._rows}
        applied: list[RecordedEvent[Any]] = []
        queued: list[tuple[RecordedEvent[Any], frozenset[str]]] = []
        for event in events:
            keys = self.keys(event)
            stream = stream_key(event.stream_id)
            if closed.isdisjoint(keys) and stream not in closed:
                applied.append(event)
            else:
                keys |= closed & {stream}
                closed |= keys
                queued.append((event, keys))
        return Sorted(applied, queued)

    async def queue(self, connection: AsyncConnection, held: Checkpoint, batch: Sorted) -> None:
        """
        Let events queue behind what is parked, in the transaction of their batch.

        Raises:
            Full: So many may not be parked.
        """
        if not batch.queued:
            return
        self._make_room(len(batch.queued))
        rows = [
            Parked(held.share, key, event.global_position, event.event_id, event.event_type, None)
            for event, keys in batch.queued
            for key in sorted(keys)
        ]
        await parked.add(connection, held, rows)
        self._rows += rows
        _logger.info("%d events of projection %s queue behind what is parked of it", len(batch.queued), held.share)

    async def park(
        self,
        connection: AsyncConnection,
        held: Checkpoint,
        event: StoredEvent,
        *,
        keys: frozenset[str],
        error: str,
        tries: int,
    ) -> None:
        """
        Set an event aside that failed, behind the fence.

        Raises:
            Full: So many may not be parked.
        """
        await self.load(connection, held)
        self._make_room(1)
        rows = [Parked(held.share, key, event.position, event.id, event.type, error, tries) for key in sorted(keys)]
        await parked.add(connection, held, rows)
        self._rows += rows

    def _make_room(self, more: int) -> None:
        policy = self._projection.on_failure
        limit = policy.limit if isinstance(policy, Park) else 0
        there = len({row.position for row in self._rows})
        if there + more > limit:
            raise Full(
                f"{there} events are parked, {more} more would be above the limit of {limit}: "
                "retry or skip what is parked, then retry the projection"
            )


def positions_of(share: Share, rows: Sequence[Parked]) -> list[list[int]]:
    """What somebody wants tried again of a share: for each queue its positions, in order."""
    queues: list[list[int]] = []
    for row in rows:
        if row.share == share and row.wanted and not any(row.position in queue for queue in queues):
            queues.append(parked.queue_of(rows, {row.key}))
    return queues
