"""
Say how many events go into the next batch: as many as are applied in good time, and fit into memory.

Not so many at first, as nobody knows yet how large they are; twice as many after a batch that was
quick, half as many after one that took long, or was large, or of which nothing was written.
"""

from collections.abc import Sequence
from time import monotonic

from diptych.read.books.checkpoint import LEASE_S
from diptych.store.port import Page, StoredEvent

FIRST_EVENTS, BATCH_EVENTS = 320, 5_000
BATCH_BYTES = 16 * 1024 * 1024  # of JSON; what is made of it takes several times that
BATCH_S = LEASE_S / 3


class Pace:
    """
    The pace of one that applies batches.

    Attributes:
        limit: How many events the next batch may hold.
    """

    def __init__(self) -> None:
        self.limit: int = min(FIRST_EVENTS, BATCH_EVENTS)
        self._began = monotonic()

    def begin(self) -> None:
        """A batch is begun."""
        self._began = monotonic()

    def applied(self, page: Page) -> None:
        """It was applied."""
        fit = how_many_fit(page.events)
        if self._took_long or fit < self.limit:
            self.limit = max(1, min(self.limit // 2, fit))
        elif 2 * self.limit <= fit // 2:  # and still do where some are larger
            self.limit = min(BATCH_EVENTS, 2 * self.limit)

    def failed(self, page: Page) -> None:
        """It failed: half of it comes closer to the guilty event."""
        self.limit = max(1, len(page.events) // 2)

    def away(self, page: Page) -> None:
        """A database went away in it, or ended it because it lasts: the same again would last as long."""
        if self._took_long:
            self.failed(page)

    @property
    def _took_long(self) -> bool:
        return monotonic() - self._began > BATCH_S


def how_many_fit(events: Sequence[StoredEvent]) -> int:
    """How many events as large as some are no more than a batch may hold."""
    size = sum(len(event.payload) + len(event.metadata) for event in events)
    return max(1, BATCH_BYTES * len(events) // size) if size else BATCH_BYTES
