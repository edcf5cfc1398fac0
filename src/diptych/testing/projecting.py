"""
Try a projection on events alone, without a database.

    projecting(Orders()).given(OrderPlaced(...), OrderShipped(...)).then(OrderRow(...))
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from diptych.codec import EPOCH
from diptych.event import Event, Metadata, RecordedEvent, event_type
from diptych.message import new_id
from diptych.read.projections.projection import TableProjection, TwoRoundProjection, checked


class Projecting:
    """Rows folded from the events given so far; see `projecting`."""

    def __init__(self, projection: TableProjection[Any, Any] | TwoRoundProjection[Any, Any, Any]) -> None:
        self._projection = projection
        self._rows: dict[Any, Any] = {}
        self._memos: dict[Any, Any] = {}
        self._position = 0

    def given(self, *events: Event, stream: str = "Given-1", at: datetime | None = None) -> "Projecting":
        """
        Apply events.

        Args:
            at: When they were recorded. Default: a second after 1970 began, and each a second after the one before.
        """
        for event in events:
            self._position += 1
            self._apply(recorded(event, stream, self._position, at or EPOCH + timedelta(seconds=self._position)))
        return self

    def then(self, *rows: Any) -> "Projecting":
        """Insist on exactly these rows, in any order."""
        actual = list(self._rows.values())
        missing = [row for row in rows if row not in actual]
        surplus = [row for row in actual if row not in rows]
        if missing or surplus:
            raise AssertionError(f"rows differ\n  missing: {_listed(missing)}\n  surplus: {_listed(surplus)}")
        return self

    def row(self, key: Any) -> Any:
        """The row of a key, for asserting on a part of it; None where there is none."""
        return self._rows.get(key)

    def _apply(self, event: RecordedEvent[Any]) -> None:
        if type(event.data) not in self._projection.handles():
            return
        if isinstance(self._projection, TableProjection):
            for key in self._projection.keys(event):
                row = self._rows.get(key)
                _put(
                    self._rows,
                    key,
                    self._projection.evolve(self._projection.initial(key) if row is None else row, event),
                )
        else:
            for key in self._projection.memo_keys(event):
                self._apply_with_memo(self._projection, key, event)

    def _apply_with_memo(
        self, projection: TwoRoundProjection[Any, Any, Any], memo_key: Any, event: RecordedEvent[Any]
    ) -> None:
        before = self._memos.get(memo_key)
        after = projection.remember(before, event)
        _put(self._memos, memo_key, after)
        memo = before if after is None else after
        if memo is not None:
            for key in projection.keys(event, memo):
                _put(self._rows, key, projection.evolve(self._rows.get(key), event, memo))


def projecting(
    projection: TableProjection[Any, Any]
    | TwoRoundProjection[Any, Any, Any]
    | type[TableProjection[Any, Any]]
    | type[TwoRoundProjection[Any, Any, Any]],
) -> Projecting:
    """Begin with a projection that has seen nothing."""
    found = checked(projection)
    if not isinstance(found, TableProjection | TwoRoundProjection):
        raise TypeError(f"{found.name} writes its own statements: try it in_process, with a database")
    return Projecting(found)


def _put(rows: dict[Any, Any], key: Any, row: Any | None) -> None:
    if row is None:
        rows.pop(key, None)
    else:
        rows[key] = row


def recorded(event: Event, stream: str, position: int, recorded_at: datetime) -> RecordedEvent[Any]:
    """An event as it would come out of a log."""
    name = event_type(type(event)).name
    category = stream.partition("-")[0]
    return RecordedEvent(new_id(), stream, category, name, event, Metadata(), position, position, recorded_at)


def _listed(rows: Iterable[Any]) -> str:
    return "".join(f"\n    {row}" for row in rows) or "none"
