"""
Fold a projection's rows from the log when they are asked for: now, or as they were.

The same class that keeps a read model in step answers without one: nothing is stored,
nothing lags behind. The price is a walk over the events it handles, those of one
stream where the caller knows that no other touches the row.
"""

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Collection, Sequence
from typing import Any, Generic, TypeVar

from diptych.errors import BadProjection
from diptych.event import RawEvent, RecordedEvent
from diptych.log import EventStore
from diptych.past import At, check_goes_further, position_at
from diptych.read.projections.batch import collector_paused
from diptych.read.projections.projection import AnyProjection, TableProjection, TwoRoundProjection, checked, type_names
from diptych.store.port import StoredEvent

Row = TypeVar("Row")
BATCH = 2_000


class Live(Generic[Row]):
    """
    The rows of a table projection, each folded when it is asked for.

        orders = Live[OrderView](event_store, Orders)
        before = await orders.get("order-1", at=datetime(2026, 1, 1, tzinfo=UTC))

    Args:
        projection: A `TableProjection` or `TwoRoundProjection`; what a free-form one does can't be folded for one key.

    Raises:
        BadProjection: It is free-form, or doesn't hold together.
    """

    def __init__(self, event_store: EventStore, projection: AnyProjection | type[AnyProjection]) -> None:
        found = checked(projection)
        if not isinstance(found, TableProjection | TwoRoundProjection):
            raise BadProjection(
                f"{type(found).__name__} is free-form and has no rows of its own to fold: "
                "extend TableProjection or TwoRoundProjection"
            )
        self._event_store, self._projection = event_store, found
        self._types = type_names(found)

    async def get(self, key: Any, *, at: At | None = None, stream_id: str | None = None) -> Row | None:
        """
        The row of a key; None where there is none, as for a key that no column can hold.

        Args:
            at: As of this position, or of this time; None for now.
            stream_id: Fold the events of this stream only, where no others touch the row.

        Raises:
            Unreadable: An event on the way can't be turned into its class.
            Misuse: *at* is below 0, or without a time zone.
        """
        shape = self._projection.shape()
        try:
            key = shape.key.value(key)
        except ValueError:
            return None
        store = self._event_store.store
        through = await (store.head() if at is None else position_at(store, at))
        fold = _fold_of(self._projection, key)
        async for events in self._batches(stream_id, through):
            with collector_paused():
                for event in self._decoded(events):
                    fold.take(event)
        if fold.row is not None and shape.key_of(fold.row) != key:
            raise BadProjection(f"evolve was asked for the row {key!r} and returned row {shape.key_of(fold.row)!r}")
        row: Row | None = fold.row
        return row

    async def _batches(self, stream_id: str | None, through: int) -> AsyncIterator[Sequence[StoredEvent]]:
        """The events it handles up to a position, in order."""
        store = self._event_store.store
        if stream_id is not None:
            yield _wanted(await store.read_stream(stream_id), self._types, through)
            return
        position = 0
        while position < through:
            page = await store.read(position, limit=BATCH, types=self._types)
            check_goes_further(page, position, through)
            yield _wanted(page.events, self._types, through)
            position = page.through

    def _decoded(self, events: Sequence[StoredEvent]) -> Sequence[RecordedEvent[Any]]:
        codec = self._event_store.codec
        decoded = [codec.decode(event) for event in events]
        for event in decoded:
            if isinstance(event.data, RawEvent):
                codec.require(event)
        return decoded


class _Fold(ABC):
    """A row as the events taken so far have left it."""

    row: Any = None

    @abstractmethod
    def take(self, event: RecordedEvent[Any]) -> None:
        """Follow one more event."""


class _OneRound(_Fold):
    def __init__(self, projection: TableProjection[Any, Any], key: Any) -> None:
        self._projection, self._key = projection, key

    def take(self, event: RecordedEvent[Any]) -> None:
        for key in self._projection.keys(event):
            if key == self._key:
                before = self._projection.initial(key) if self.row is None else self.row
                self.row = self._projection.evolve(before, event)


class _TwoRounds(_Fold):
    """Every memo is kept meanwhile: which of them lead to the row is known only when they do."""

    def __init__(self, projection: TwoRoundProjection[Any, Any, Any], key: Any) -> None:
        self._projection, self._key = projection, key
        self._memos: dict[Any, Any] = {}

    def take(self, event: RecordedEvent[Any]) -> None:
        for memo_key in self._projection.memo_keys(event):
            memo = self._remembered(memo_key, event)
            if memo is not None:
                for key in self._projection.keys(event, memo):
                    if key == self._key:
                        self.row = self._projection.evolve(self.row, event, memo)

    def _remembered(self, key: Any, event: RecordedEvent[Any]) -> Any:
        """The memo after the event; the last one known where the event made it go."""
        before = self._memos.pop(key, None)
        after = self._projection.remember(dict(before) if isinstance(before, dict) else before, event)
        if after is not None:
            self._memos[key] = after
        return before if after is None else after


def _fold_of(projection: AnyProjection, key: Any) -> _Fold:
    if isinstance(projection, TwoRoundProjection):
        return _TwoRounds(projection, key)
    assert isinstance(projection, TableProjection)
    return _OneRound(projection, key)


def _wanted(events: Sequence[StoredEvent], types: Collection[str], through: int) -> Sequence[StoredEvent]:
    return [event for event in events if event.position <= through and event.type in types]
