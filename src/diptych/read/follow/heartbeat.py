"""
Keep the leases of a worker from a thread of its own, on a connection of its own.

Whatever keeps the process busy, a batch that folds for seconds or a handler that
blocks the event loop: while the process runs at all, its leases are extended.
When it is stopped or killed, they run out, and others take over.
"""

import asyncio
import logging
import threading
from collections.abc import Iterable

from diptych.errors import Unavailable
from diptych.read.books import workers
from diptych.read.books.checkpoint import LEASE_S
from diptych.read.db.database import ReadDatabase

_logger = logging.getLogger("diptych.worker")

BEAT_S = LEASE_S / 4


class HeartBeat:
    """The thread that extends the leases of one worker, between `start` and `stop`."""

    def __init__(self, read_db: ReadDatabase, worker: str, runs: Iterable[str]) -> None:
        self._read_db, self._worker, self._runs = read_db, worker, tuple(runs)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._go_on, name="diptych-heartbeat", daemon=True)

    def start(self) -> None:
        """Begin; the first beat comes after a while, as a claim and a fence extend a lease, too."""
        self._thread.start()

    async def stop(self) -> None:
        """End, and wait for the end of a beat under way."""
        self._stop.set()
        await asyncio.to_thread(self._thread.join)

    def _go_on(self) -> None:
        asyncio.run(self._beat_on())

    async def _beat_on(self) -> None:
        is_away = False
        async with self._read_db.apart() as read_db:
            while not self._stop.wait(BEAT_S):  # nothing else is done on this event loop
                try:
                    async with read_db.begin() as connection:
                        await workers.beat(connection, self._worker, self._runs)
                    is_away = False
                except Unavailable as error:
                    if not is_away:
                        _logger.warning("the leases of worker %s can't be extended now: %s", self._worker, error)
                    is_away = True
                except Exception:  # whatever it is, the next beat may be well
                    _logger.exception("the leases of worker %s can't be extended", self._worker)
