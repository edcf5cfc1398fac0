"""
Say how many events go into the next batch: as many as are applied in good time, and fit into memory.

Few at first, as nobody knows yet how large they are; more after a batch that was quick, half as many
after one that took long, or was large, or of which nothing was written.
"""

from time import monotonic

from diptych.read.books.checkpoint import LEASE_S
from diptych.store.port import Page

FIRST_EVENTS, BATCH_EVENTS, TIMES = 80, 5_000, 4
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
        more = min(BATCH_EVENTS, self.limit * TIMES)
        if self._took_long or not _fit(page, self.limit):
            self.limit = max(1, self.limit // 2)
        elif _fit(page, more):
            self.limit = more

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


def _fit(page: Page, number: int) -> bool:
    """Whether so many events as large as those of a page are no more than a batch may hold."""
    return number * sum(len(event.payload) for event in page.events) <= BATCH_BYTES * len(page.events)
