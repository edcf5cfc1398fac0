"""
Move one generation of a projection along the log: own it, apply a batch, advance.

A batch and its checkpoint commit in one transaction: a crash repeats nothing
and skips nothing (P6). Only the owner of the lease can write.
"""

import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from math import inf
from time import monotonic
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import LogRewound, TooSlow, Unavailable, Unreadable
from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read.books import checkpoint, parked
from diptych.read.books.checkpoint import Checkpoint, Failure, FencedOut, Generation, LogSeen, Paused
from diptych.read.books.wait import Watcher
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.feed import Feed
from diptych.read.follow.pace import BATCH_S
from diptych.read.follow.parking import Parking, positions_of
from diptych.read.follow.place import REPAIR, why_no_place
from diptych.read.follow.publishing import Publishing
from diptych.read.projections.batch import collector_paused
from diptych.read.projections.failure import OnFailure, stream_key, told
from diptych.read.projections.projection import AnyProjection, type_names
from diptych.read.projections.projector import Projector, projector
from diptych.store.port import Page, StoredEvent

_logger = logging.getLogger("diptych.projection")

ONE_WRITER_S = 0.2  # where everybody else waits meanwhile
HEAD_S = 1.0
SMOOTHING = 0.3


class Follower:
    """
    One generation of a projection, and the log it follows.

    Args:
        watcher: Told of every move.
        publish: Serve this generation once it has seen what the log held when it was claimed, unless
            another one is served: then it is only kept in step.
        feed: What it shares with others that follow the log; None reads for itself.
        partition: Which part of its keys it applies.
    """

    def __init__(
        self,
        event_store: EventStore,
        read_db: ReadDatabase,
        projection: AnyProjection,
        of: Generation,
        watcher: Watcher,
        *,
        publish: bool,
        feed: Feed | None = None,
        partition: int = 0,
    ) -> None:
        self.of: Generation = of
        self._partition = partition
        self.held: Checkpoint | None = None
        self.projector: Projector = projector(projection, of, partition)
        self._event_store, self._read_db, self._watcher = event_store, read_db, watcher
        self._reader = (feed or Feed(event_store)).reader(type_names(projection))
        self._projection, self._parking = projection, Parking(projection, partition)
        self._publishing = Publishing(self.projector, of, projection.partitions)
        self._publish, self._serves = publish, False
        self._connections = 0
        self._is_at_head = False
        self._head, self._head_at = 0, 0.0
        self._rate = 0.0
        self._began, self._limit = monotonic(), 1

    @property
    def position(self) -> int:
        """The last position that was applied."""
        return self._owned().position

    @property
    def on_failure(self) -> OnFailure:
        """What becomes of an event that fails."""
        return self._projection.on_failure

    @property
    def is_at_head(self) -> bool:
        """Whether the last batch was all that the log held when it was read."""
        return self._is_at_head

    async def claim(self, owner: str) -> bool:
        """
        Become the owner, if nobody else is.

        Raises:
            LogRewound: The checkpoint is not a place in this log.
        """
        async with self._read_db.begin() as connection:
            claimed = await checkpoint.claim(connection, self.of, owner, partition=self._partition)
            if claimed is not None:
                await self._parking.load(connection, claimed)
            served = await checkpoint.served(connection, self.of.projection, self.of.version)
        if claimed is None:
            return False
        self.held = claimed
        # A switch lets whoever owns one of the two claim it anew: until then, this holds.
        self._serves = self._publish and (served is None or served.of == self.of)
        try:
            await self._stand_on_this_log(claimed)
            self._publishing.at = await self._event_store.head() if self._serves else None
        except Unavailable:
            self.held = None  # claimed anew when the log is there: what it is to serve, and when, isn't known yet
            raise
        return True

    async def read(self, limit: int) -> Page | None:
        """
        The next batch; None where there is nothing to do yet.

        Raises:
            LogRewound: The log became another one meanwhile, as by a fail-over.
        """
        held, self._began, self._limit = self._owned(), monotonic(), limit
        page = await self._page(held.position, limit)
        self._is_at_head = self._reader.is_at_head
        if self._event_store.store.connections != self._connections:
            await self._stand_on_this_log(held)
        return page if page.through > held.position or self._publishing.is_due(page.through) else None

    async def _page(self, after: int, limit: int) -> Page:
        """What comes next, read over connections of one time: else some of it may be another server's."""
        while True:
            connections = self._event_store.store.connections
            page = await self._reader.page(after, limit)
            if self._event_store.store.connections == connections:
                return page

    def reading_on(self, page: Page) -> AbstractAsyncContextManager[None]:
        """Have what comes after a batch read while the block applies it."""
        return self._reader.reading_on(page, self._limit)

    async def apply(self, page: Page) -> None:
        """
        Write a batch's effect and its checkpoint, or nothing at all.

        A batch that takes too long is ended between two events, where its projection allows that;
        what was applied of it commits. Events whose key is parked queue behind what is.
        """
        with collector_paused():
            await self._apply(page)

    async def _apply(self, page: Page) -> None:
        held = self._owned()
        events = self._decoded(page)
        through, event_id = page.through, await self._event_store.id_at(page)
        head = await self._head_beyond(page)
        async with self._in_batch(page) as connection:
            is_due = await self._publishing.fence(connection, held, page.through)
            batch = await self._parking.sort(connection, held, events)
            done = await self._applied(connection, batch.applied)
            if done < len(batch.applied):
                through, event_id = batch.applied[done - 1].global_position, batch.applied[done - 1].event_id
                batch, self._is_at_head = batch.up_to(through), False
            await self._parking.queue(connection, held, batch)
            await checkpoint.advance(connection, held, through, event_id, self._seen(page, through, head))
            is_due = is_due and self._publishing.is_due(through)
            is_published = is_due and await self._publishing.is_done_in(connection)
        self._moved(through, event_id, is_published=is_published)

    @asynccontextmanager
    async def _in_batch(self, page: Page) -> AsyncIterator[AsyncConnection]:
        """A transaction for a batch; a server that ends it because one event takes so long is not away."""
        began = inf
        try:
            async with self._read_db.begin() as connection:
                began = monotonic()
                yield connection
        except Unavailable as away:
            took_s = monotonic() - began
            if len(page.events) == 1 and took_s > checkpoint.SILENCE_S and not self._read_db.one_writer:
                raise TooSlow(took_s, checkpoint.SILENCE_S) from away
            raise

    async def park(self, page: Page, error: str, tries: int) -> frozenset[str]:
        """
        Set the only event of a page aside, and move on.

        Returns:
            The keys under which it is parked.

        Raises:
            Full: So many may not be parked.
        """
        held, stored = self._owned(), page.events[0]
        keys = self._keys_of(stored)
        event_id = await self._event_store.id_at(page)
        async with self._read_db.begin() as connection:
            is_due = await self._publishing.fence(connection, held, page.through)
            await self._parking.park(connection, held, stored, keys=keys, error=error, tries=tries)
            seen = self._seen(page, page.through, max(self._head, page.through))
            await checkpoint.advance(connection, held, page.through, event_id, seen)
            is_published = is_due and await self._publishing.is_done_in(connection)
        self._moved(page.through, event_id, is_published=is_published)
        return keys

    async def retry_parked(self) -> None:
        """Apply what is parked and wanted: each queue in order, in one transaction with its removal."""
        held = self._owned()
        async with self._read_db.snapshot() as connection:
            queues = positions_of(held.share, await self._parking.load(connection, held))
        for queue in queues:
            try:
                if not await self._is_unparked(queue, behind=[]):
                    await self._want(queue)
            except (Unavailable, FencedOut, Paused):
                raise
            except Exception:  # noqa: BLE001  # told below; what precedes the guilty one is applied
                await self._unpark_one_by_one(queue)
        self.held = replace(self._owned(), parked_at=self._parking.lowest)
        self._watcher.look()

    async def _unpark_one_by_one(self, queue: list[int]) -> None:
        for at, position in enumerate(queue):
            try:
                if not await self._is_unparked([position], behind=queue[at + 1 :]):
                    await self._want(queue[at:])
                    return
            except (Unavailable, FencedOut, Paused):
                raise
            except Exception as error:
                _logger.exception("event at position %d of projection %s failed again", position, self.of.projection)
                held = self._owned()
                async with self._read_db.begin() as connection:
                    await checkpoint.fence(connection, held)
                    await parked.failed(connection, held, queue[at:], told(error))
                return

    async def _want(self, positions: list[int]) -> None:
        """Have the next look find what is left of a queue that isn't as it was: skipped in part, or fallen apart."""
        held = self._owned()
        async with self._read_db.begin() as connection:
            await checkpoint.fence(connection, held)
            rows = await self._parking.load(connection, held)
            for key in {row.key for row in rows if row.position in positions}:
                await parked.want(connection, held, key)

    async def _is_unparked(self, positions: list[int], *, behind: list[int]) -> bool:
        """Apply parked events that lie at the head of their queue, and park them no more; False where it changed."""
        held = self._owned()
        stored = [await self._stored(position) for position in positions]
        async with self._read_db.begin() as connection:
            await checkpoint.fence(connection, held)
            rows = await self._parking.load(connection, held)
            keys = {row.key for row in rows if row.position in positions}
            if parked.queue_of(rows, keys) != positions + behind:
                return False
            await self.projector.apply(connection, self._decoded_alone(stored), inf)
            await parked.remove(connection, held, positions)
            await self._parking.load(connection, held)
        _logger.info("%d parked events of projection %s are applied", len(positions), self.of.projection)
        return True

    async def _stored(self, position: int) -> StoredEvent:
        there = await self._event_store.store.event_at(position)
        if there is None:
            raise LogRewound(
                who=f"an event that projection {self.of.projection!r} parked",
                why=f"the log has none at position {position}",
                repair=REPAIR,
            )
        return there

    def _keys_of(self, stored: StoredEvent) -> frozenset[str]:
        """The keys of an event that failed; its stream, where it can't even be read."""
        try:
            [event] = self._decoded_alone([stored])
        except Unreadable:
            return frozenset({stream_key(stored.stream)})
        return self._parking.keys(event) or frozenset({stream_key(stored.stream)})

    async def wait_beyond(self, position: int, timeout_s: float) -> None:
        """Return soon after the log may hold something new."""
        await self._event_store.wait_beyond(position, timeout_s)

    async def fail(self, failure: Failure) -> None:
        """Record why this generation stopped, for everybody to see; what precedes the failure is served."""
        held = self._owned()
        try:
            await self._stop_at(held, failure, publish=self._publishing.at is not None)
        except (Unavailable, FencedOut):
            raise
        except Exception:  # what prevents it from being served has no bearing on why it stopped
            _logger.exception("projection %s can't be served as far as it came", self.of.projection)
            await self._stop_at(held, failure, publish=False)
        self._publishing.at = None
        self._watcher.look()

    async def _stop_at(self, held: Checkpoint, failure: Failure, *, publish: bool) -> None:
        async with self._read_db.begin() as connection:
            if publish:
                await self._publishing.take_turn(connection)
            await checkpoint.fail(connection, held, failure)
            if publish:
                await self._publishing.is_done_in(connection)

    async def release(self) -> None:
        """Stop owning."""
        if self.held is not None:
            async with self._read_db.begin() as connection:
                await checkpoint.release(connection, self.held)
            self.lost()

    def lost(self) -> None:
        """Own nothing any more: who waits is told by whoever does."""
        self.held = None
        if self._serves:
            self._watcher.forget(self.of)

    async def _stand_on_this_log(self, held: Checkpoint) -> None:
        seen = self._event_store.store.connections
        if why := await why_no_place(self._event_store, held):
            raise LogRewound(
                who=f"projection {self.of.projection!r} at position {held.position}", why=why, repair=REPAIR
            )
        self._connections = seen

    def _owned(self) -> Checkpoint:
        if self.held is None:
            raise FencedOut
        return self.held

    async def _head_beyond(self, page: Page) -> int:
        """The head of the log, as a page shows it; while more is to come, asked for now and then."""
        if self._is_at_head:
            return page.through
        if monotonic() - self._head_at > HEAD_S:
            self._head, self._head_at = await self._event_store.head(), monotonic()
        return max(self._head, page.through)

    async def _applied(self, connection: AsyncConnection, events: Sequence[RecordedEvent[Any]]) -> int:
        longest_s = min(BATCH_S, ONE_WRITER_S) if self._read_db.one_writer else BATCH_S
        return await self.projector.apply(connection, events, monotonic() + longest_s) if events else 0

    def _seen(self, page: Page, through: int, head: int) -> LogSeen:
        """How the log looks from behind a batch."""
        rate = (through - self._owned().position) / max(monotonic() - self._began, 1e-6)
        self._rate = SMOOTHING * rate + (1 - SMOOTHING) * self._rate if self._rate else rate
        last = next((each for each in reversed(page.events) if each.position <= through), None)
        return LogSeen(head, None if self._is_at_head or last is None else last.recorded_at, self._rate)

    def _moved(self, through: int, event_id: str, *, is_published: bool) -> None:
        parked_at = self._parking.lowest
        self.held = replace(self._owned(), position=through, event_id=event_id, parked_at=parked_at)
        if is_published:
            self._publishing.at = None
        if self._projection.partitions > 1:
            self._watcher.look()  # the others tell how far all of them are
        elif self._serves and self._publishing.at is None:
            self._watcher.moved(self.of, through, parked_at)

    def _decoded(self, page: Page) -> Sequence[RecordedEvent[Any]]:
        with collector_paused():
            return self._readable(self._reader.decode(page.events))

    def _decoded_alone(self, stored: Sequence[StoredEvent]) -> Sequence[RecordedEvent[Any]]:
        return self._readable([self._event_store.decode(each) for each in stored])

    def _readable(self, events: Sequence[RecordedEvent[Any]]) -> Sequence[RecordedEvent[Any]]:
        """Insist that none of them is of a type or version that this code doesn't know."""
        if self._event_store.codec.met_newer:
            for event in events:
                self._event_store.codec.require(event)
        return events
