"""
Say how many events go into the next batch: as many as are applied in good time, and fit into memory.

Not so many at first, as nobody knows yet how large they are; twice as many after a batch that was quick
and small, half as many after one that took long, or was large, or of which nothing was written. What lies
between goes on as it is: a page that is read ahead is of use where the next batch is as long as the last.
"""

from time import monotonic

from diptych.read.books.checkpoint import LEASE_S
from diptych.store.port import Page

FIRST_EVENTS, BATCH_EVENTS = 320, 5_000
BATCH_BYTES = 16 * 1024 * 1024  # of JSON; what is made of it takes several times that
BATCH_S = LEASE_S / 3
ROOM = 4  # times what a batch takes has to be borne before the next one is twice as long


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
        took_s, fit = monotonic() - self._began, how_many_fit(page)
        if took_s > BATCH_S or fit < self.limit:
            self.limit = max(1, min(self.limit // 2, fit))
        elif ROOM * took_s <= BATCH_S and ROOM * self.limit <= fit:
            self.limit = min(BATCH_EVENTS, 2 * self.limit)

    def failed(self, page: Page) -> None:
        """It failed: half of it comes closer to the guilty event."""
        self.limit = max(1, len(page.events) // 2)

    def away(self, page: Page) -> None:
        """A database went away in it, or ended it because it lasts: the same again would last as long."""
        if monotonic() - self._began > BATCH_S:
            self.failed(page)


def how_many_fit(page: Page) -> int:
    """How many events as large as those of a page are no more than a batch may hold."""
    return max(1, BATCH_BYTES * len(page.events) // page.size) if page.size else BATCH_BYTES
