"""
Say how many events go into the next batch: as many as are applied in good time.

Half as many after one that took long, or of which nothing was written; twice as many
after one that was quick.
"""

from time import monotonic

from diptych.read.books.checkpoint import LEASE_S
from diptych.store.port import Page

BATCH_EVENTS = 5_000
BATCH_S = LEASE_S / 3


class Pace:
    """
    The pace of one that applies batches.

    Attributes:
        limit: How many events the next batch may hold.
    """

    def __init__(self) -> None:
        self.limit: int = BATCH_EVENTS
        self._began = monotonic()

    def begin(self) -> None:
        """A batch is begun."""
        self._began = monotonic()

    def applied(self) -> None:
        """It was applied."""
        self.limit = max(1, self.limit // 2) if self._took_long else min(BATCH_EVENTS, self.limit * 2)

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
