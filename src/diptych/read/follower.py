"""
Move one generation of a projection along the log: own it, apply a batch, advance.

A batch and its checkpoint commit in one transaction: a crash repeats nothing
and skips nothing (P6). Only the owner of the lease can write.
"""

import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import LogRewound, Unavailable
from diptych.event import RawEvent, RecordedEvent
from diptych.log import EventStore
from diptych.read import checkpoint
from diptych.read.batch import collector_paused
from diptych.read.checkpoint import Checkpoint, Failure, FencedOut, Generation
from diptych.read.database import ReadDatabase
from diptych.read.projection import AnyProjection, type_names
from diptych.read.projector import Projector, projector
from diptych.read.wait import Watcher
from diptych.store.port import Page

_logger = logging.getLogger("diptych.projection")

REPAIR = (
    "put the log back that it was built from; or, if this one is meant, say so with log_restored "
    "(log_adopt for a copy) and rebuild the projection"
)


class Follower:
    """
    One generation of a projection, and the log it follows.

    Args:
        watcher: Told of every move.
        publish: Serve this generation once it has seen what the log held when it was claimed.
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
    ) -> None:
        self.of = of
        self.held: Checkpoint | None = None
        self.projector: Projector = projector(projection, of)
        self._event_store, self._read_db, self._watcher = event_store, read_db, watcher
        self._types = type_names(projection)
        self._publish_at: int | None = None
        self._publish = publish
        self._connections = 0

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
        if self.held is None:
            return False
        await self._stand_on_this_log(self.held)
        self._publish_at = await self._event_store.head() if self._publish else None
        return True

    async def is_replaced(self) -> bool:
        """Whether a rebuild put another generation in the place of this one."""
        async with self._read_db.snapshot() as connection:
            served = await checkpoint.served(connection, self.of.projection, self.of.version)
        return served is not None and served.of != self.of

    async def read(self, limit: int) -> Page | None:
        """
        The next batch; None where there is nothing to do yet.

        Raises:
            LogRewound: The log became another one meanwhile, as by a fail-over.
        """
        held = self._owned()
        page = await self._event_store.page(held.position, limit=limit, types=self._types)
        if self._event_store.store.connections != self._connections:
            await self._stand_on_this_log(held)
        return page if page.through > held.position or self._is_due(page.through) else None

    async def apply(self, page: Page) -> None:
        """Write a batch's effect and its checkpoint, or nothing at all."""
        held = self._owned()
        events = self._decoded(page)
        event_id = await self._event_store.id_at(page)
        async with self._read_db.begin() as connection:
            await checkpoint.fence(connection, held)
            if events:
                await self.projector.apply(connection, events)
            await checkpoint.advance(connection, held, page.through, event_id)
            if self._is_due(page.through):
                await self._publish_in(connection)
        self._moved(page.through, event_id)

    async def wait_beyond(self, position: int, timeout_s: float) -> None:
        """Return soon after the log may hold something new."""
        await self._event_store.wait_beyond(position, timeout_s)

    async def keep(self) -> None:
        """
        Extend the lease while nothing is applied.

        Raises:
            FencedOut: Another worker owns the projection, or a rebuild has replaced this generation.
        """
        async with self._read_db.begin() as connection:
            await checkpoint.keep(connection, self._owned())

    async def fail(self, state: str, error: str, position: int | None) -> None:
        """Record why this generation stopped, for everybody to see; what precedes the failure is served."""
        if self.held is None:
            return
        failure = Failure(state, error, position)
        try:
            await self._stop_at(self.held, failure, publish=self._publish_at is not None)
        except (Unavailable, FencedOut):
            raise
        except Exception:  # what prevents it from being served has no bearing on why it stopped
            _logger.exception("projection %s can't be served as far as it came", self.of.projection)
            await self._stop_at(self.held, failure, publish=False)
        self._publish_at = None
        self._watcher.look()

    async def _stop_at(self, held: Checkpoint, failure: Failure, *, publish: bool) -> None:
        async with self._read_db.begin() as connection:
            await checkpoint.fail(connection, held, failure)
            if publish:
                await self._publish_in(connection)

    async def resume(self) -> None:
        """Take back that this generation stopped."""
        if self.held is not None:
            async with self._read_db.begin() as connection:
                await checkpoint.resume(connection, self.held)

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
        await self.projector.index(connection)
        await checkpoint.serve_first(connection, self.of)

    def _moved(self, through: int, event_id: str) -> None:
        self.held = replace(self._owned(), position=through, event_id=event_id)
        if self._is_due(through):
            self._publish_at = None
        if self._publish and self._publish_at is None:
            self._watcher.moved(self.of, through)

    def _decoded(self, page: Page) -> Sequence[RecordedEvent[Any]]:
        with collector_paused():
            codec = self._event_store.codec
            events = [codec.decode(stored) for stored in page.events]
            for event in events:
                if isinstance(event.data, RawEvent):
                    codec.require(event)
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
