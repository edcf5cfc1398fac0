"""
Serve a generation for the first time, in the transaction of the batch that brings it far enough.

Of several partitions the last one does it, in the projection's turn. Where another one has that, which may last,
as indexes are made in it, the batch commits all the same, and a later one looks again.
"""

from time import monotonic

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.read.books import checkpoint, turns
from diptych.read.books.checkpoint import Checkpoint, Generation
from diptych.read.projections.projector import Projector

AGAIN_S = 0.2


class Publishing:
    """
    Whether one generation, of one or several partitions, is still to be served.

    Attributes:
        at: The position that each partition has to reach before; None where it is served, or isn't to be.
    """

    def __init__(self, projector: Projector, of: Generation, partitions: int) -> None:
        self.at: int | None = None
        self._projector, self._of, self._partitions = projector, of, partitions
        self._not_before = 0.0

    async def fence(self, connection: AsyncConnection, held: Checkpoint, through: int) -> bool:
        """See `checkpoint.fence`; whether a batch up to a position may be the one behind which it is served."""
        is_due = self.is_due(through) and await self._has_turn(connection)
        await checkpoint.fence(connection, held)
        return is_due

    def is_due(self, through: int) -> bool:
        """Whether a partition that reaches a position is to see if all are there."""
        return self.at is not None and through >= self.at and monotonic() >= self._not_before

    async def take_turn(self, connection: AsyncConnection) -> None:
        """Let no other partition look meanwhile whether it is the last one."""
        if self._partitions > 1:
            await turns.take(connection, self._of.projection)

    async def _has_turn(self, connection: AsyncConnection) -> bool:
        """See `take_turn`; False where it would have to wait for that."""
        is_free = self._partitions == 1 or await turns.take_if_free(connection, self._of.projection)
        if not is_free:
            self._not_before = monotonic() + AGAIN_S
        return is_free

    async def is_done_in(self, connection: AsyncConnection) -> bool:
        """
        Serve it, if it is the first, in its turn. Its secondary indexes were not worth their keep until now.

        False where other partitions are to come yet.
        """
        if self._partitions > 1 and self.at is not None:
            parts = [each.position for each in await checkpoint.all_of(connection) if each.of == self._of]
            if min(parts, default=0) < self.at:
                self._not_before = monotonic() + AGAIN_S
                return False
        await checkpoint.take_time(connection)
        await self._projector.index(connection)
        await checkpoint.serve_first(connection, self._of)
        return True
