"""
Move one generation of a projection along the log: own it, apply a batch, advance.

A batch and its checkpoint commit in one transaction: a crash repeats nothing
and skips nothing (P6). Only the owner of the lease can write.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from time import monotonic
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import LogRewound, Unavailable
from diptych.event import RawEvent, RecordedEvent
from diptych.log import EventStore
from diptych.read import checkpoint
from diptych.read.batch import collector_paused
from diptych.read.checkpoint import LEASE_S, Checkpoint, Failure, FencedOut, Generation, Seen
from diptych.read.database import ReadDatabase
from diptych.read.feed import Feed
from diptych.read.projection import AnyProjection, type_names
from diptych.read.projector import Projector, projector
from diptych.read.wait import Watcher
from diptych.store.port import Page

_logger = logging.getLogger("diptych.projection")

BATCH_S = LEASE_S / 3
HEAD_S = 1.0
SMOOTHING = 0.3

REPAIR = (
    "put the log back that it was built from; or, if this one is meant, say so with log_restored "
    "(log_adopt for a copy) and rebuild the projection"
)


class Follower:
    """
    One generation of a projection, and the log it follows.

    Args:
        watcher: Told of every move.
        publish: Serve this generation once it has seen what the log held when it was claimed, unless
            another one is served: then it is only kept in step.
        feed: What it shares with others that follow the log; None reads for itself.
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
    ) -> None:
        self.of = of
        self.held: Checkpoint | None = None
        self.projector: Projector = projector(projection, of)
        self._event_store, self._read_db, self._watcher = event_store, read_db, watcher
        self._reader = (feed or Feed(event_store)).reader(type_names(projection))
        self._publish_at: int | None = None
        self._publish, self._serves = publish, False
        self._connections = 0
        self._is_at_head = False
        self._head, self._head_at = 0, 0.0
        self._rate = 0.0
        self._began = monotonic()

    @property
    def position(self) -> int:
        """The last position that was applied."""
        return self._owned().position

    async def claim(self, owner: str) -> bool:
        """
        Become the owner, if nobody else is.

        Raises:
            LogRewound: The checkpoint is not a place in this log.
        """
        async with self._read_db.begin() as connection:
            self.held = await checkpoint.claim(connection, self.of, owner)
            served = await checkpoint.served(connection, self.of.projection, self.of.version)
        if self.held is None:
            return False
        await self._stand_on_this_log(self.held)
        # A switch lets whoever owns one of the two claim it anew: until then, this holds.
        self._serves = self._publish and (served is None or served.of == self.of)
        self._publish_at = await self._event_store.head() if self._serves else None
        return True

    async def read(self, limit: int) -> Page | None:
        """
        The next batch; None where there is nothing to do yet.

        Raises:
            LogRewound: The log became another one meanwhile, as by a fail-over.
        """
        held, self._began = self._owned(), monotonic()
        page = await self._reader.page(held.position, limit)
        self._is_at_head = self._reader.is_at_head
        if self._event_store.store.connections != self._connections:
            await self._stand_on_this_log(held)
        return page if page.through > held.position or self._is_due(page.through) else None

    async def apply(self, page: Page) -> None:
        """
        Write a batch's effect and its checkpoint, or nothing at all.

        A batch that takes too long is ended between two events, where its projection allows that;
        what was applied of it commits.
        """
        held = self._owned()
        events = self._decoded(page)
        through, event_id = page.through, await self._event_store.id_at(page)
        head = await self._head_beyond(page)
        async with self._read_db.begin() as connection:
            await checkpoint.fence(connection, held)
            done = await self.projector.apply(connection, events, monotonic() + BATCH_S) if events else 0
            if done < len(events):
                through, event_id = events[done - 1].global_position, events[done - 1].event_id
                self._is_at_head = False
            await checkpoint.advance(connection, held, through, event_id, self._seen(page, done, head))
            if self._is_due(through):
                await self._publish_in(connection)
        self._moved(through, event_id)

    async def wait_beyond(self, position: int, timeout_s: float) -> None:
        """Return soon after the log may hold something new."""
        await self._event_store.wait_beyond(position, timeout_s)

    async def fail(self, failure: Failure) -> None:
        """Record why this generation stopped, for everybody to see; what precedes the failure is served."""
        held = self._owned()
        try:
            await self._stop_at(held, failure, publish=self._publish_at is not None)
        except (Unavailable, FencedOut):
            raise
        except Exception:  # what prevents it from being served has no bearing on why it stopped
            _logger.exception("projection %s can't be served as far as it came", self.of.projection)
            await self._stop_at(held, failure, publish=False)
        self._publish_at = None
        self._watcher.look()

    async def _stop_at(self, held: Checkpoint, failure: Failure, *, publish: bool) -> None:
        async with self._read_db.begin() as connection:
            await checkpoint.fail(connection, held, failure)
            if publish:
                await self._publish_in(connection)

    async def release(self) -> None:
        """Stop owning."""
        if self.held is not None:
            async with self._read_db.begin() as connection:
                await checkpoint.release(connection, self.held)
            self.held = None

    async def _stand_on_this_log(self, held: Checkpoint) -> None:
        self._connections = self._event_store.store.connections
        if why := await why_no_place(self._event_store, held):
            raise LogRewound(
                who=f"projection {self.of.projection!r} at position {held.position}", why=why, repair=REPAIR
            )

    def _owned(self) -> Checkpoint:
        if self.held is None:
            raise FencedOut
        return self.held

    def _is_due(self, through: int) -> bool:
        return self._publish_at is not None and through >= self._publish_at

    async def _publish_in(self, connection: AsyncConnection) -> None:
        """Serve this generation, if it is the first. Its secondary indexes were not worth their keep until now."""
        await checkpoint.take_time(connection)
        await self.projector.index(connection)
        await checkpoint.serve_first(connection, self.of)

    async def _head_beyond(self, page: Page) -> int:
        """The head of the log, as a page shows it; while more is to come, asked for now and then."""
        if self._is_at_head:
            return page.through
        if monotonic() - self._head_at > HEAD_S:
            self._head, self._head_at = await self._event_store.head(), monotonic()
        return max(self._head, page.through)

    def _seen(self, page: Page, done: int, head: int) -> Seen:
        """How the log looks from behind a batch."""
        rate = done / max(monotonic() - self._began, 1e-6)
        self._rate = SMOOTHING * rate + (1 - SMOOTHING) * self._rate if self._rate else rate
        behind_since = None if self._is_at_head or not done else page.events[done - 1].recorded_at
        return Seen(head, behind_since, self._rate)

    def _moved(self, through: int, event_id: str) -> None:
        self.held = replace(self._owned(), position=through, event_id=event_id)
        if self._is_due(through):
            self._publish_at = None
        if self._serves and self._publish_at is None:
            self._watcher.moved(self.of, through)

    def _decoded(self, page: Page) -> Sequence[RecordedEvent[Any]]:
        with collector_paused():
            events = self._reader.decode(page.events)
            for event in events:
                if isinstance(event.data, RawEvent):
                    self._event_store.codec.require(event)
            return events


async def why_no_place(event_store: EventStore, found: Checkpoint) -> str | None:
    """Why a checkpoint is no place in this log: of another, ahead, or on a dead branch; None if it is one."""
    if found.log != event_store.identity:
        return f"it was built from log {found.log.log_id} incarnation {found.log.incarnation}"
    if not await holds(event_store, found):
        return f"the log has no event {found.event_id} at position {found.position}"
    return None


async def holds(event_store: EventStore, found: Checkpoint) -> bool:
    """Whether the log, whatever it is called, has the event that a checkpoint stands on."""
    if found.position == 0 or not found.event_id:
        return True
    there = await event_store.store.event_at(found.position)
    return there is not None and there.id == found.event_id
