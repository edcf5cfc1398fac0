"""
Log when a projection becomes late, and when it is no longer.

It is late when the oldest event that it has not applied was recorded more than its
`max_lag_s` ago. The worker that owns it tells; where nobody does, all do.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress

from diptych.errors import Unavailable
from diptych.log import EventStore
from diptych.read.db.database import ReadDatabase
from diptych.read.projections.projection import AnyProjection
from diptych.read.tend.status import ProjectionStatus, statuses

_logger = logging.getLogger("diptych.projection")

LOOK_S = 1.0


class Lateness:
    """Looks once a second at the projections that say how late they may be."""

    def __init__(
        self,
        event_store: EventStore | None,
        read_db: ReadDatabase,
        projections: Mapping[str, AnyProjection],
        worker: str,
    ) -> None:
        self._event_store, self._read_db, self._worker = event_store, read_db, worker
        self._bounded = {name: each for name, each in projections.items() if each.max_lag_s is not None}
        self._late: set[tuple[str, int, int]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Look until told to stop; not at all where no projection says how late it may be."""
        while self._bounded and not stop.is_set():
            try:
                for status in await statuses(self._read_db, self._bounded, self._event_store):
                    self._tell(status)
            except Unavailable:  # who works with it tells of that
                pass
            except Exception:  # whatever it is, the next look may be well
                _logger.exception("how late projections are can't be seen")
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), LOOK_S)

    def _tell(self, status: ProjectionStatus) -> None:
        bound = status.max_lag_s
        if bound is None or not status.served:
            return
        key = (status.name, status.generation, status.partition)
        is_late, was_late = status.lag_s > bound, key in self._late
        if is_late == was_late:
            return
        (self._late.add if is_late else self._late.discard)(key)
        if status.owner not in {None, self._worker} and status.state != "no owner":
            return
        if is_late:
            _logger.warning(
                "projection %s is late: %.1f s behind at position %d of %d, %g s are allowed",
                status.name,
                status.lag_s,
                status.checkpoint,
                status.head,
                bound,
            )
        else:
            _logger.info("projection %s is late no more, at position %d", status.name, status.checkpoint)
