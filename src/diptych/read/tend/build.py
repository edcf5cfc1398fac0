"""
Bring a generation that nobody serves yet up to the log, all its partitions at once.

It is owned like any other: whoever loses a lease, or whose generation is removed,
writes nothing more.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from textwrap import shorten
from typing import TypeVar

from diptych.errors import EventFailed, LogRewound, Unavailable, Unreadable
from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import LEASE_S, Checkpoint, FencedOut, Generation, Paused
from diptych.read.books.wait import Watcher
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.feed import Feed
from diptych.read.follow.follower import Follower
from diptych.read.follow.pace import Pace
from diptych.read.follow.runner import back_off_s
from diptych.read.projections.failure import told
from diptych.read.projections.projection import AnyProjection
from diptych.read.projections.projector import Projector
from diptych.read.projections.tables import Step
from diptych.store.port import Page

PAUSED_S = 0.3
TOLD = 500
_logger = logging.getLogger("diptych.projection")

Moved = Callable[[int], Awaitable[None]]
T = TypeVar("T")


class Build:
    """The followers of a generation that is built, one a partition."""

    def __init__(
        self,
        event_store: EventStore,
        read_db: ReadDatabase,
        projection: AnyProjection,
        of: Generation,
        watcher: Watcher,
        *,
        feed: Feed | None = None,
    ) -> None:
        self.of: Generation = of
        self._read_db = read_db
        feed = feed or Feed(event_store)
        self.parts: Sequence[Follower] = [
            Follower(event_store, read_db, projection, of, watcher, publish=False, feed=feed, partition=partition)
            for partition in range(projection.partitions)
        ]

    @property
    def projector(self) -> Projector:
        """What makes its tables."""
        return self.parts[0].projector

    @property
    def positions(self) -> Mapping[int, int]:
        """The last position that each partition has applied."""
        return {partition: part.position for partition, part in enumerate(self.parts)}

    @property
    def position(self) -> int:
        """That of the partition furthest behind."""
        return min(self.positions.values())

    @property
    def held(self) -> Checkpoint:
        """
        What is owned, of the first partition.

        Raises:
            FencedOut: Nothing any more.
        """
        return self.owned[0]

    @property
    def owned(self) -> Sequence[Checkpoint]:
        """
        What is owned, of each partition.

        Raises:
            FencedOut: Of one, nothing any more.
        """
        owned = [part.held for part in self.parts if part.held is not None]
        if len(owned) < len(self.parts):
            raise FencedOut
        return owned

    async def claim(self, owner: str) -> bool:
        """Become the owner of all partitions, or of none."""
        for part in self.parts:
            if not await part.claim(owner):
                await self.release()
                return False
        return True

    async def release(self) -> None:
        """Stop owning."""
        with suppress(Unavailable):  # the lease then runs out by itself
            for part in self.parts:
                await part.release()

    async def catch_up(self, *, through: Mapping[int, int] | None = None, moved: Moved | None = None) -> None:
        """
        Apply what the log holds; while a database is away, or somebody has paused it, wait.

        Args:
            through: How far each partition is to come, and no further; None takes all that was there at the
                last look, as somebody may write all the time.
            moved: Told of each position reached.

        Raises:
            EventFailed: The projection's code failed at an event; nothing of that one is written.
        """
        parts = enumerate(self.parts)
        ends = [(part, None if through is None else through[partition]) for partition, part in parts]
        await _all_or_none([self._bring(part, end, self._telling(moved)) for part, end in ends])

    @asynccontextmanager
    async def in_step(self, moved: Moved) -> AsyncIterator["asyncio.Future[None]"]:
        """Apply what comes, as `catch_up` does, while the block runs; what it is given ends only by an error."""
        steps = [self._follow(part, self._telling(moved)) for part in self.parts]
        following = asyncio.ensure_future(_all_or_none(steps))
        try:
            yield following
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    async def do(self, step: Step) -> None:
        """
        Take a step of its own in a transaction, as making an index; while a database is away before it, or somebody
        has paused it, wait.

        Raises:
            Unavailable: The step itself can't be taken, as where the disk is full.
        """
        tries, is_begun = 0, False
        while True:
            try:
                async with self._read_db.begin() as connection:
                    await checkpoint.fence(connection, self.held)
                    is_begun = True
                    await checkpoint.take_time(connection)
                    await step(connection)
                    await checkpoint.keep(connection, self.held)
                return
            except Unavailable as error:
                if is_begun:
                    raise
                await self._wait_for_a_database(error, tries)
                tries += 1
            except Paused:
                await asyncio.sleep(PAUSED_S)

    async def outlast(self, act: Callable[[], Awaitable[T]]) -> T:
        """What comes of an act that may be tried again; while a database is away, wait."""
        tries = 0
        while True:
            try:
                return await act()
            except Unavailable as error:
                await self._wait_for_a_database(error, tries)
                tries += 1

    @asynccontextmanager
    async def kept_alive(self) -> AsyncIterator[None]:
        """
        Extend the leases while the block runs: of a partition that is done, of one that waits for a database.
        Whether one was lost meanwhile is seen by `keep`.
        """
        ended = asyncio.Event()

        async def keep_on() -> None:
            while not ended.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(ended.wait(), LEASE_S / 3)
                with suppress(Unavailable, FencedOut):
                    await self.keep()

        keeping = asyncio.create_task(keep_on(), name="diptych-lease")
        try:
            yield
        finally:
            ended.set()
            await asyncio.wait([keeping])

    def _telling(self, moved: Moved | None) -> Moved:
        """What a partition tells where it is, to have told how far all of them are."""

        async def reached(_: int) -> None:
            if moved is not None:
                await moved(self.position)

        return reached

    async def _follow(self, part: Follower, moved: Moved) -> None:
        while True:
            await self._bring(part, None, moved)
            with suppress(Unavailable):  # which the next look meets again, and waits
                await part.wait_beyond(part.position, LEASE_S / 3)

    async def _bring(self, part: Follower, through: int | None, moved: Moved) -> None:
        tries, pace = 0, Pace()
        while through is None or part.position < through:
            try:
                page = await part.read(pace.limit)
                if page is None:
                    return
                page = page if through is None else _up_to(page, through)
                async with part.reading_on(page):
                    is_applied = await self._is_applied(part, page, pace)
                if not is_applied:
                    continue
                tries = 0
            except Unavailable as error:
                await self._wait_for_a_database(error, tries)
                tries += 1
            except Paused:
                await asyncio.sleep(PAUSED_S)
            else:
                await moved(part.position)
                if through is None and part.is_at_head:
                    return

    async def _wait_for_a_database(self, error: Unavailable, tries: int) -> None:
        _logger.warning("the build of %s waits, a database is away: %s", self.of.projection, error)
        await asyncio.sleep(back_off_s(tries))

    async def _is_applied(self, part: Follower, page: Page, pace: Pace) -> bool:
        """Apply a page, or none of it where one of several events fails: fewer come closer to the guilty one."""
        pace.begin()
        try:
            await part.apply(page)
        except Unavailable:
            pace.away(page)
            raise
        except (FencedOut, Paused, LogRewound, Unreadable):
            raise
        except Exception as error:
            match page.events:
                case []:
                    raise
                case [guilty]:
                    raise EventFailed(
                        projection=self.of.projection,
                        type=guilty.type,
                        position=guilty.position,
                        why=shorten(told(error), TOLD),
                    ) from error
            pace.failed(page)
            return False
        pace.applied(page)
        return True

    async def keep(self) -> None:
        """
        Extend the leases.

        Raises:
            FencedOut: One was lost.
        """
        for held in self.owned:
            async with self._read_db.begin() as connection:
                await checkpoint.keep(connection, held)


def _up_to(page: Page, through: int) -> Page:
    """The part of a page that reaches up to a position."""
    if page.through <= through:
        return page
    return Page([event for event in page.events if event.position <= through], through)


async def _all_or_none(steps: Sequence[Awaitable[None]]) -> None:
    """Do all at once; when one fails, the others are cancelled, and its error is raised."""
    tasks = [asyncio.ensure_future(step) for step in steps]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    failed = [end for end in ends if isinstance(end, BaseException)]
    for error in sorted(failed, key=lambda each: isinstance(each, asyncio.CancelledError)):
        raise error
