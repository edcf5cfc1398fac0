"""Tell how far a rebuild has come, and how long it will take."""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

from diptych.log import EventStore
from diptych.read.books.checkpoint import Generation

HEAD_EVERY_S = 1.0


@dataclass(frozen=True, slots=True)
class Progress:
    """
    How far a rebuild has come.

    Attributes:
        stage: "building", "indexing", "verifying" or "served".
        position: The last position that was applied.
        head: The log's head, as of the last second: `left` bounds the events to go.
        rate: Events a second since it began, or went on.
        seconds_left: Until the head at that rate; None while there is none.
    """

    of: Generation
    stage: str
    position: int
    head: int
    rate: float

    @property
    def left(self) -> int:
        """How many events are to go at most: positions may have holes."""
        return max(0, self.head - self.position)

    @property
    def seconds_left(self) -> float | None:
        """How long they take."""
        return self.left / self.rate if self.rate else None


class Meter:
    """Measures one run of a rebuild and tells of it."""

    def __init__(self, event_store: EventStore, of: Generation, told: Callable[[Progress], None] | None) -> None:
        self._event_store, self._of, self._told = event_store, of, told
        self._stage = "building"
        self._began: tuple[float, int] | None = None
        self._head, self._looked_at = 0, 0.0

    async def stage(self, name: str, position: int) -> None:
        """A stage begins."""
        self._stage = name
        await self.moved(position)

    async def moved(self, position: int) -> None:
        """A position was reached."""
        if self._told is None:
            return
        now = monotonic()
        if self._began is None:
            self._began = now, position
        if now - self._looked_at > HEAD_EVERY_S:
            self._head, self._looked_at = await self._event_store.head(), now
        took_s, done = now - self._began[0], position - self._began[1]
        self._told(Progress(self._of, self._stage, position, self._head, done / took_s if took_s else 0.0))
