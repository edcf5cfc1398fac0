"""
Run what is to be kept in step of one projection: what it serves, and what it served before, for a while.

After a switch both go on, each in the other's part: whoever owns one claims it
anew, and learns then whether it is served. What isn't kept any more is removed.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress

from diptych.errors import Unavailable
from diptych.log import EventStore
from diptych.read.books.checkpoint import Generation, Share
from diptych.read.books.wait import Watcher
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.feed import Feed
from diptych.read.follow.follower import Follower
from diptych.read.follow.generations import of_no_use, prepare, tidy, to_keep
from diptych.read.follow.ownership import Seen, Worker
from diptych.read.follow.reacting import ReactionFollower
from diptych.read.follow.runner import Runner, back_off_s
from diptych.read.projections.projection import AnyProjection
from diptych.read.projections.reaction import Reaction

_logger = logging.getLogger("diptych.projection")

AGAIN_S = 5.0
GONE = 2  # looks in a row that didn't find it; one may have begun before it was made


class Keeper:
    """
    The runners of one projection in this process.

    Attributes:
        error: Why it could not begin.
    """

    def __init__(
        self,
        event_store: EventStore,
        read_db: ReadDatabase,
        projection: AnyProjection,
        worker: Worker,
        watcher: Watcher,
        *,
        feed: Feed,
    ) -> None:
        self.projection: AnyProjection = projection
        self.error: str | None = None
        self._event_store, self._read_db = event_store, read_db
        self._worker, self._watcher, self._feed = worker, watcher, feed
        self._stop = asyncio.Event()
        self._runners: dict[Share, Runner] = {}
        self._first: Sequence[Share] = ()
        self._missed = Counter[Share]()
        self._tries = 0
        self._tidied_at = 0.0
        self._stuck: set[Generation] = set()

    async def run(self) -> None:
        """Keep all in step that is to be, until stopped; batches under way are finished."""
        running: dict[Share, asyncio.Task[None]] = {}
        try:
            while not self._stop.is_set():
                seen = await self._next_look()
                if seen is None:
                    break
                for share in await self._to_keep(seen):
                    if share not in running:
                        running[share] = asyncio.create_task(self._run(share), name=f"diptych-run-{share}")
                self._stop_what_is_gone(seen)
                for share in [share for share, task in running.items() if task.done()]:
                    await running.pop(share)
                await self._tidy_at_times(seen)
        finally:
            self.stop()  # also where it is cancelled: what is under way comes to its end
            await asyncio.gather(*running.values())

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()
        for runner in self._runners.values():
            runner.stop()

    async def tidy(self) -> None:
        """Remove what isn't kept any more. What can't be is told once, and stays: nothing else depends on it."""
        try:
            stuck = await tidy(self._read_db, self.projection)
        except Unavailable:
            return  # a look comes back to it
        except Exception:
            _logger.exception("what %s served before can't be removed", self.projection.name)
            return
        for of, error in stuck.items():
            if of not in self._stuck:
                why = "its tables can't be removed; drop what somebody made on them"
                _logger.error("generation %d that %s served stays, %s: %s", of.generation, of.projection, why, error)
        self._stuck |= stuck.keys()

    async def _next_look(self) -> Seen | None:
        """What the next look sees; None when it is time to stop."""
        looking, stopping = asyncio.ensure_future(self._worker.next_look()), asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait([looking, stopping], return_when=asyncio.FIRST_COMPLETED)
            return looking.result() if looking.done() else None
        finally:
            for task in (looking, stopping):
                task.cancel()

    async def _to_keep(self, seen: Seen) -> Sequence[Share]:
        """What to keep in step; the first build is begun where there is none, and is kept all of it."""
        found = to_keep(seen.rows.values(), self.projection, seen.now)
        if found:
            return found
        if self._runners:
            return [share for share in self._first if share in seen.rows]
        first = await self._prepare()
        self._first = [Share(first, partition) for partition in range(self.projection.partitions)] if first else []
        return self._first

    async def _prepare(self) -> Generation | None:
        try:
            of = await prepare(self._event_store, self._read_db, self.projection)
        except Unavailable as error:
            _logger.warning("projection %s can't start, a database is away: %s", self.projection.name, error)
            await self._pause(back_off_s(self._tries))
            self._tries += 1
            return None
        except Exception as error:
            _logger.exception("projection %s can't start", self.projection.name)
            self.error = f"{type(error).__name__}: {error}"
            await self._pause(AGAIN_S)
            return None
        self._tries = 0
        return of

    async def _run(self, share: Share) -> None:
        self.error = None
        follower = self._follower(share)
        try:
            with self._worker.turn(share) as turn:
                runner = self._runners[share] = Runner(follower, self._worker, turn)
                if self._stop.is_set():  # while it was being prepared
                    runner.stop()
                await runner.run()
        except Exception as error:  # whatever it is, the others go on
            _logger.exception("projection %s ended", self.projection.name)
            self.error = f"{type(error).__name__}: {error}"
            await self._pause(AGAIN_S)
        finally:
            self._runners.pop(share, None)

    def _follower(self, share: Share) -> Follower:
        if isinstance(self.projection, Reaction):
            return ReactionFollower(self._event_store, self._read_db, self.projection, share.of, self._watcher)
        return Follower(
            self._event_store,
            self._read_db,
            self.projection,
            share.of,
            self._watcher,
            publish=True,
            feed=self._feed,
            partition=share.partition,
        )

    def _stop_what_is_gone(self, seen: Seen) -> None:
        """Somebody removed it, as newer code does with a first build of older code."""
        for share, runner in self._runners.items():
            self._missed[share] = 0 if share in seen.rows else self._missed[share] + 1
            if self._missed[share] >= GONE:
                runner.stop()

    async def _tidy_at_times(self, seen: Seen) -> None:
        """Remove what isn't kept any more; what is still read, later."""
        now = asyncio.get_running_loop().time()
        if now - self._tidied_at > AGAIN_S and of_no_use(seen.rows.values(), self.projection, seen.now):
            self._tidied_at = now
            await self.tidy()

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), seconds)
