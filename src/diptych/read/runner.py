"""
Keep one projection in step: claim it, follow the log, and never die of an error.

    claim ──► follow ──► (nothing new) wait ──► follow …
                │
                ├─ away (a database can't be reached): back off and claim again, for ever
                ├─ fenced out: another owner writes now; stand by, or end if a rebuild took the place
                └─ failing: halve the batch down to the guilty event, retry it a
                   bounded number of times, then stand still as `faulted` (P9)
"""

import asyncio
import logging
import random
from collections.abc import Coroutine
from contextlib import suppress
from time import monotonic
from typing import Any

from diptych.errors import DiptychError, LogRewound, NewerSchema, Unavailable, Unreadable
from diptych.read.checkpoint import LEASE_S, FencedOut, new_owner
from diptych.read.follower import Follower
from diptych.read.wait import REWOUND
from diptych.store.port import Page

_logger = logging.getLogger("diptych.projection")

BATCH_EVENTS = 5_000
BATCH_S = LEASE_S / 3
TRIES = 4
BACK_OFF_S = (0.05, 5.0)
STATES: dict[type[DiptychError], str] = {NewerSchema: "needs newer code", LogRewound: REWOUND}


class Runner:
    """The endless task of one generation. `run` ends when `stop` was called, or another generation is served."""

    def __init__(self, follower: Follower) -> None:
        self.follower = follower
        self._owner = new_owner()
        self._stop, self._retry = asyncio.Event(), asyncio.Event()
        self._limit = BATCH_EVENTS
        self._failures = 0
        self._pauses = 0

    @property
    def _name(self) -> str:
        return self.follower.of.projection

    async def run(self) -> None:
        """Follow the log until stopped; the batch under way is finished, the lease let go."""
        while not self._stop.is_set():
            try:
                await self._follow_or_stand_still()
            except Unavailable as error:
                _logger.warning("projection %s waits, a database is away: %s", self._name, error)
                await self._back_off()
            except FencedOut:
                _logger.warning("projection %s was taken over by another worker; standing by", self._name)
                self.follower.held = None
        with suppress(Unavailable):  # the lease then runs out by itself
            await self.follower.release()

    def stop(self) -> None:
        """Ask `run` to end."""
        self._stop.set()

    async def retry(self) -> None:
        """Try a failing event again, and do so with a fresh count."""
        await self.follower.resume()
        self._failures = 0
        self._retry.set()

    async def _follow_or_stand_still(self) -> None:
        try:
            await self._follow()
        except (Unavailable, FencedOut):
            raise
        except Exception as error:
            await self._stand_still(error, None)

    async def _follow(self) -> None:
        if not await self.follower.claim(self._owner):
            await self._stand_by()
            return
        while not self._stop.is_set():
            page = await self.follower.read(self._limit)
            if page is None:
                await self._idle()
                self._pauses = 0
            else:
                await self._apply(page)

    async def _stand_by(self) -> None:
        """Wait for the owner to go, unless a rebuild has put another generation in the place of this one."""
        if await self.follower.is_replaced():
            self.stop()
        else:
            await self._pause(asyncio.sleep(LEASE_S / 3))

    async def _idle(self) -> None:
        position = self.follower.held.position if self.follower.held else 0
        waiting_since = monotonic()
        await self._pause(self.follower.wait_beyond(position, LEASE_S / 3))
        if monotonic() - waiting_since >= LEASE_S / 4:
            await self.follower.keep()

    async def _apply(self, page: Page) -> None:
        began = monotonic()
        try:
            await self.follower.apply(page)
        except (Unavailable, FencedOut):
            raise
        except Exception as error:
            await self._failed(page, error)
        else:
            self._failures = self._pauses = 0
            took_long = monotonic() - began > BATCH_S
            self._limit = max(1, self._limit // 2) if took_long else min(BATCH_EVENTS, self._limit * 2)

    async def _failed(self, page: Page, error: Exception) -> None:
        """Nothing of the batch was written: come closer to the guilty event, or try it again."""
        if len(page.events) > 1:
            self._limit = len(page.events) // 2
            return
        self._failures += 1
        if self._failures < TRIES and not isinstance(error, NewerSchema):
            await self._back_off()
            return
        await self._stand_still(error, page.events[0].position if page.events else None)

    async def _stand_still(self, error: Exception, position: int | None) -> None:
        """Say what is wrong and wait until someone asks to try again."""
        state = next((state for kind, state in STATES.items() if isinstance(error, kind)), "faulted")
        text = str(error) if isinstance(error, DiptychError) else f"{type(error).__name__}: {error}"
        expected = isinstance(error, LogRewound | Unreadable)
        _logger.error(
            "projection %s is %s%s: %s",
            self._name,
            state,
            "" if position is None else f" at position {position}",
            text,
            exc_info=None if expected else error,
        )
        self._retry.clear()
        while not (await self._recorded(state, text, position) or self._stop.is_set()):
            await self._back_off()
        while not (self._retry.is_set() or self._stop.is_set()):
            await self._pause(asyncio.wait_for(self._retry.wait(), LEASE_S / 3))
            with suppress(Unavailable):
                await self.follower.keep()

    async def _recorded(self, state: str, error: str, position: int | None) -> bool:
        try:
            await self.follower.fail(state, error, position)
        except Unavailable as away:
            _logger.warning("projection %s can't say that it is %s, a database is away: %s", self._name, state, away)
            return False
        return True

    async def _back_off(self) -> None:
        pause_s = back_off_s(self._pauses)
        self._pauses += 1
        await self._pause(asyncio.sleep(pause_s))

    async def _pause(self, until: Coroutine[Any, Any, Any]) -> None:
        """Wait for something, or for `stop`."""
        waiting = [asyncio.ensure_future(until), asyncio.ensure_future(self._stop.wait())]
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
