"""
Move a reaction along the log: let one event happen, then advance, then the next.

The checkpoint moves behind the effect, in a transaction that begins with the fence:
a crash between the two lets the last event happen again, and none is passed over.
No transaction is open while something happens elsewhere, however long that takes.
"""

from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import override

from diptych.log import EventStore
from diptych.read.books import checkpoint, parked
from diptych.read.books.checkpoint import Checkpoint, Generation
from diptych.read.books.wait import Watcher
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.follower import Follower
from diptych.read.follow.parking import Sorted
from diptych.read.projections.reaction import Reaction, deliver
from diptych.store.port import Page


class ReactionFollower(Follower):
    """A reaction, and the log it follows."""

    def __init__(
        self, event_store: EventStore, read_db: ReadDatabase, reaction: Reaction, of: Generation, watcher: Watcher
    ) -> None:
        super().__init__(event_store, read_db, reaction, of, watcher, publish=True)
        self._reaction = reaction

    @override
    async def read(self, limit: int) -> Page | None:
        return await super().read(1)

    @override
    async def apply(self, page: Page) -> None:
        held, events = self._owned(), self._decoded(page)
        event_id, head = await self._event_store.id_at(page), await self._head_beyond(page)
        batch = Sorted(events)
        if held.parked_at is not None:
            async with self._read_db.snapshot() as connection:
                batch = await self._parking.sort(connection, held, events)
        for event in batch.applied:
            await deliver(self._reaction, event)
        async with self._read_db.begin() as connection:
            is_due = await self._publishing.fence(connection, held, page.through)
            if batch.queued and not (await self._parking.sort(connection, held, events)).queued:
                return  # what it was to queue behind was taken away meanwhile: it is read again
            await self._parking.queue(connection, held, batch)
            await checkpoint.advance(connection, held, page.through, event_id, self._seen(page, page.through, head))
            is_published = is_due and await self._publishing.is_done_in(connection)
        self._moved(page.through, event_id, is_published=is_published)

    @override
    async def _is_unparked(self, positions: list[int], *, behind: list[int]) -> bool:
        held = self._owned()
        for at, position in enumerate(positions):
            queue = [*positions[at:], *behind]
            async with self._read_db.snapshot() as connection:
                if not await self._is_queue(connection, held, queue):
                    return False
            [event] = self._decoded_alone([await self._stored(position)])
            await deliver(self._reaction, event)
            async with self._read_db.begin() as connection:
                await checkpoint.fence(connection, held)
                await parked.remove(connection, held, [position])
                await self._parking.load(connection, held)
        return True

    async def _is_queue(self, connection: AsyncConnection, held: Checkpoint, queue: list[int]) -> bool:
        rows = await self._parking.load(connection, held)
        keys = {row.key for row in rows if row.position == queue[0]}
        return parked.queue_of(rows, keys) == queue
