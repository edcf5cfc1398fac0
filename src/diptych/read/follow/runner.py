"""
Keep one share of a projection in step: own it, follow the log, and never die of an error.

    stand by ──► claim ──► follow ──► (nothing new) wait ──► follow …
       ▲                     │
       │                     ├─ away (a database can't be reached): back off and try again, for ever
       ├─────────────────────┤  fenced out, or another worker has less to do: others go on
       │                     ├─ paused: rest until somebody resumes it
       │                     └─ failing: halve the batch down to the guilty event, retry it a
       └─ mended ◄──────────── bounded number of times, then park it, or stand still as `faulted` (P9)
"""

import asyncio
import logging
import random
from collections.abc import Coroutine
from contextlib import suppress
from typing import Any

from diptych.errors import DiptychError, LogRewound, NewerSchema, TooSlow, Unavailable, Unreadable
from diptych.read.books.checkpoint import LEASE_S, Failure, FencedOut, Paused
from diptych.read.books.wait import REWOUND
from diptych.read.follow.follower import Follower
from diptych.read.follow.ownership import Turn, Worker
from diptych.read.follow.pace import Pace
from diptych.read.follow.parking import Full
from diptych.read.projections.failure import Park, told
from diptych.store.port import Page

_logger = logging.getLogger("diptych.projection")

BACK_OFF_S = (0.05, 5.0)
STATES: dict[type[DiptychError], str] = {NewerSchema: "needs newer code", LogRewound: REWOUND}


class Runner:
    """The endless task of one share. `run` ends when `stop` was called, or another generation is served."""

    def __init__(self, follower: Follower, worker: Worker, turn: Turn) -> None:
        self.follower = follower
        self._worker, self._turn = worker, turn
        self._stop = asyncio.Event()
        self._pace = Pace()
        self._failures = 0
        self._pauses = 0
        self._other: str | None = None

    async def run(self) -> None:
        """Follow the log until stopped; the batch under way is finished, the lease let go."""
        while not self._stop.is_set():
            try:
                await self._follow_or_stand_still()
            except Unavailable as error:
                _logger.warning("projection %s waits, a database is away: %s", self._name, error)
                await self._back_off()
            except FencedOut:
                self._turn.owned = None
                self.follower.lost()
                await self._look()
                self._tell_of_the_loss()
            except Paused:
                await self._rest()
        with suppress(Unavailable):  # the lease then runs out by itself
            await self.follower.release()

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()

    @property
    def _name(self) -> str:
        return str(self._turn.share)

    async def _follow_or_stand_still(self) -> None:
        try:
            if await self._owns():
                await self._follow()
        except (Unavailable, FencedOut, Paused):
            raise
        except Exception as error:
            await self._stand_still(error, None)

    async def _owns(self) -> bool:
        """Own the share; False while another does, or is to."""
        if self.follower.held is not None:
            return True
        if self._turn.replaced:
            self.stop()
        elif self._turn.may_claim and await self._claimed():
            _logger.info("projection %s is kept in step by this worker, %s", self._name, self._worker.id)
            self._other = None
            return True
        else:
            self._tell_of_the_other()
            await self._look()
        return False

    async def _claimed(self) -> bool:
        if not await self.follower.claim(self._worker.id):
            return False
        if self.follower.held is not None:
            self._turn.owned = (self._worker.looks, self.follower.held.epoch)
        return True

    def _tell_of_the_loss(self) -> None:
        row = self._turn.row
        if row is not None and row.owner not in (None, self._worker.id):
            _logger.warning("projection %s was taken over by worker %s; standing by", self._name, row.owner)
        else:
            _logger.info("projection %s was switched or left by its owner: it is claimed anew", self._name)

    def _tell_of_the_other(self) -> None:
        """Log who keeps it in step, once for each."""
        row = self._turn.row
        if row is not None and row.owner not in (None, self._other):
            self._other = row.owner
            _logger.info("projection %s is kept in step by worker %s; standing by", self._name, row.owner)

    async def _follow(self) -> None:
        while not self._stop.is_set() and await self._goes_on():
            page = await self.follower.read(self._pace.limit)
            if page is None:
                await self._idle()
                self._pauses = 0
            else:
                async with self.follower.reading_on(page):
                    await self._apply(page)

    async def _goes_on(self) -> bool:
        """Whether this worker is to go on with it, between two batches."""
        turn = self._turn
        if turn.is_mine:
            return True
        if turn.replaced:
            self.stop()
        elif turn.is_lost:
            raise FencedOut
        elif turn.is_paused:
            raise Paused
        elif turn.wanted:
            await self._retry_parked()
            return True
        else:
            _logger.info("projection %s is left to a worker that has less to do", self._name)
            self._worker.gave_up(turn.share)
            turn.give_up = turn.may_claim = False
            await self.follower.release()
        return False

    async def _idle(self) -> None:
        position = self.follower.held.position if self.follower.held else 0
        self._turn.news.clear()
        if self._turn.is_mine:
            await self._pause(self.follower.wait_beyond(position, LEASE_S / 3), self._turn.news.wait())

    async def _rest(self) -> None:
        """Wait until somebody resumes it; it stays owned."""
        _logger.info("projection %s is paused", self._name)
        await self._look()
        while self._turn.is_paused and not self._stop.is_set() and not self._turn.replaced:
            await self._look()
        _logger.info("projection %s goes on", self._name)

    async def _apply(self, page: Page) -> None:
        self._pace.begin()
        try:
            await self.follower.apply(page)
        except Unavailable:
            self._pace.away(page)
            raise
        except (FencedOut, Paused):
            raise
        except Exception as error:
            await self._failed(page, error)
        else:
            self._failures = self._pauses = 0
            self._pace.applied(page)

    async def _failed(self, page: Page, error: Exception) -> None:
        """Nothing of the batch was written: come closer to the guilty event, try it again, or give it up."""
        if len(page.events) > 1:
            self._pace.failed(page)
            return
        self._failures += 1
        policy = self.follower.on_failure
        tries = policy.tries + isinstance(error, TooSlow)  # this process may have been stopped meanwhile
        if isinstance(error, NewerSchema | Full):
            await self._stand_still(error, page)
        elif self._failures < tries:
            await self._back_off()
        elif isinstance(policy, Park) and page.events:
            await self._park(page, error)
        else:
            await self._stand_still(error, page)

    async def _park(self, page: Page, error: Exception) -> None:
        try:
            keys = await self.follower.park(page, told(error), self._failures)
        except Full as full:
            await self._stand_still(full, page)
            return
        guilty = page.events[0]
        _logger.error(
            "event %s at position %d is parked by projection %s under %s: %s",
            guilty.type,
            guilty.position,
            self._name,
            ", ".join(sorted(keys)),
            told(error),
            exc_info=None if isinstance(error, Unreadable) else error,
        )
        self._failures = self._pauses = 0

    async def _retry_parked(self) -> None:
        """Try again what is parked, as somebody wants it; what fails again stays parked."""
        self._turn.wanted = False
        await self.follower.retry_parked()
        await self._look()

    async def _retry_beside(self) -> None:
        """Try again what is parked beside an event that it stands still at; that one is left as it is."""
        try:
            await self._retry_parked()
        except Unavailable as away:  # it is wanted as before, and so the next look finds
            _logger.warning("what is parked of projection %s waits, a database is away: %s", self._name, away)
            await self._back_off()

    async def _stand_still(self, error: Exception, page: Page | None) -> None:
        """Say what is wrong and wait until somebody has it tried again, or skips it."""
        failure = _failure(error, page)
        expected = isinstance(error, LogRewound | Unreadable)
        _logger.error(
            "projection %s is %s%s: %s",
            self._name,
            failure.state,
            "" if failure.position is None else f" at position {failure.position}",
            failure.error,
            exc_info=None if expected else error,
        )
        if self.follower.held is None:  # it could not even be owned
            await self._back_off()
            return
        while not (await self._recorded(failure) or self._stop.is_set()):
            await self._back_off()
        await self._look()
        if isinstance(error, NewerSchema):
            await self.follower.release()  # to workers that may have it
        while not self._stop.is_set() and self._is_as_it_was(failure):
            if not isinstance(error, NewerSchema) and self._turn.wanted and not self._turn.is_paused:
                await self._retry_beside()
            await self._look()
        self._failures = self._pauses = 0
        if not self._stop.is_set():
            self.follower.lost()  # claimed anew, wherever its checkpoint is now

    def _is_as_it_was(self, failure: Failure) -> bool:
        row, held = self._turn.row, self.follower.held
        if row is None or self._turn.replaced:
            return False
        is_mine = held is None or row.epoch == held.epoch
        return is_mine and (row.state, row.error_position) == (failure.state, failure.position)

    async def _recorded(self, failure: Failure) -> bool:
        try:
            await self.follower.fail(failure)
        except Unavailable as away:
            _logger.warning(
                "projection %s can't say that it is %s, a database is away: %s", self._name, failure.state, away
            )
            return False
        return True

    async def _look(self) -> None:
        """Wait for the next look that begins after now."""
        seen = self._worker.looks
        while self._turn.look <= seen and not self._stop.is_set():
            self._turn.looked.clear()
            await self._pause(self._turn.looked.wait())

    async def _back_off(self) -> None:
        pause_s = back_off_s(self._pauses)
        self._pauses += 1
        await self._pause(asyncio.sleep(pause_s))

    async def _pause(self, *until: Coroutine[Any, Any, Any]) -> None:
        """Wait for one of several things, or for `stop`."""
        waiting = [asyncio.ensure_future(each) for each in (*until, self._stop.wait())]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
            await asyncio.gather(*waiting, return_exceptions=True)


def back_off_s(tries: int) -> float:
    """How long to pause after so many failures in a row: twice as long each time, up to a limit."""
    least, most = BACK_OFF_S
    doublings = min(tries, 20)  # a database may be away for days
    return min(most, least * 2.0**doublings) * random.uniform(0.5, 1)


def _failure(error: Exception, page: Page | None) -> Failure:
    state = next((state for kind, state in STATES.items() if isinstance(error, kind)), "faulted")
    text = str(error) if isinstance(error, Full) else told(error)
    if page is None or not page.events:
        return Failure(state, text)
    guilty = page.events[0]
    return Failure(state, text, guilty.position, guilty.id, guilty.type, guilty.recorded_at)
