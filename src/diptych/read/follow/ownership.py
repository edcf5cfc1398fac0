"""
Own what this process keeps in step, beside other workers: look, claim, give up.

One look at the bookkeeping, twice a second, serves all runners of a process. It
tells each what it has to know of its share: whether it may claim it, is to give
it up, or that somebody paused, mended or replaced it. Nobody waits for a lock: a
claim passes by what a batch of another holds.
"""

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import monotonic

from diptych.errors import Unavailable
from diptych.read.books import checkpoint, parked, workers
from diptych.read.books.checkpoint import LEASE_S, LEASE_US, Checkpoint, Share, is_gone, new_owner
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.heartbeat import HeartBeat
from diptych.read.follow.spread import Standing, to_claim, to_give_up

_logger = logging.getLogger("diptych.worker")

LOOK_S = 0.4
PATIENCE_S = 1.0  # others have looked by then
PATIENCE_US = int(PATIENCE_S * 1_000_000)
FIRM_S = 60.0


@dataclass(slots=True)
class Turn:
    """
    What a runner has to know of its share, as of the last look.

    Attributes:
        look: The number of that look; 0 before the first.
        row: Its bookkeeping then.
        may_claim: Whether to claim it; also what is owned already, to own it anew.
        give_up: Whether to leave it to a worker that has less to do.
        replaced: Another generation is served, and this one isn't kept.
        wanted: Somebody wants what is parked of it tried again.
        owned: The look that was the last one when it was claimed, and the epoch it is owned by.
        looked: Set by each look.
        news: Set by a look that saw something to do.
    """

    share: Share
    look: int = 0
    row: Checkpoint | None = None
    may_claim: bool = False
    give_up: bool = False
    replaced: bool = False
    wanted: bool = False
    owned: tuple[int, int] | None = None
    looked: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def is_paused(self) -> bool:
        """Whether somebody paused it."""
        return self.row is not None and self.row.paused

    @property
    def is_lost(self) -> bool:
        """Whether it was claimed by another since, or is to be claimed anew, as after a switch."""
        if self.owned is None or self.row is None:
            return False
        look, epoch = self.owned
        return self.look > look and self.row.epoch != epoch

    @property
    def is_mine(self) -> bool:
        """Whether there is nothing to do but to go on with it."""
        return not (self.give_up or self.replaced or self.wanted or self.is_paused or self.is_lost)

    def told(self) -> None:
        """Let the runner go on that waits for a look, or for news."""
        self.looked.set()
        if not self.is_mine:
            self.news.set()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look saw."""

    now: int
    rows: Mapping[Share, Checkpoint]
    alive: Mapping[str, Collection[str]]
    wanted: Collection[Share] = ()

    def owner(self, share: Share) -> str | None:
        """Who owns a share: whose lease runs, and who isn't known to be dead."""
        row = self.rows.get(share)
        if row is None or row.owner is None or row.lease_until < self.now or is_gone(row.owner):
            return None
        return row.owner

    def is_replaced(self, share: Share) -> bool:
        """Whether another generation is served in the place of this one, which isn't kept in step any more."""
        row = self.rows.get(share)
        if row is not None and (row.served or (row.kept_until or 0) > self.now):
            return False
        return any(each.served and each.of.code == share.of.code for each in self.rows.values())

    def unowned(self, code: Collection[str]) -> Iterator[Checkpoint]:
        """What should be kept in step by code that is known here, and has had no owner for longer than a lease."""
        for share, row in self.rows.items():
            known = share.of.code in code and not self.is_replaced(share) and row.state != "needs newer code"
            if known and self.owner(share) is None and self.now - row.lease_until > LEASE_US:
                yield row


class Worker:
    """
    This process among all that keep the read models of one database in step.

    Args:
        code: What it can run.
        owns: False only looks, and logs what it sees.
    """

    def __init__(self, read_db: ReadDatabase, code: Collection[str], *, owns: bool = True) -> None:
        self.id: str = new_owner()
        self.looks: int = 0
        self._seen: asyncio.Future[Seen] | None = None
        self._read_db, self._code, self._owns = read_db, code, owns
        self._turns: dict[Share, Turn] = {}
        self._left: dict[Share, float] = {}
        self._firm: dict[Share, float] = {}
        self._unowned: dict[Share, Checkpoint] = {}
        self._look_now = asyncio.Event()
        self._is_away = self._is_stopping = False
        self._began = 0.0

    @contextmanager
    def turn(self, share: Share) -> Iterator[Turn]:
        """What the runner of a share is told, as long as the block runs."""
        turn = self._turns[share] = Turn(share)
        self.look_now()
        try:
            yield turn
        finally:
            del self._turns[share]

    def stop(self) -> None:
        """Ask `run` to end, once nothing is owned any more."""
        self._is_stopping = True
        self.look_now()

    def look_now(self) -> None:
        """Something changed: look at once."""
        self._look_now.set()

    async def next_look(self) -> Seen:
        """What the next look sees."""
        if self._seen is None:
            self._seen = asyncio.get_running_loop().create_future()
        return await asyncio.shield(self._seen)

    def gave_up(self, share: Share) -> None:
        """Leave a share to others for a while."""
        self._left[share] = monotonic() + PATIENCE_S

    async def run(self) -> None:
        """Look again and again, until stopped; the heart-beat goes on beside it."""
        self._began = monotonic()
        beating = HeartBeat(self._read_db, self.id, self._code) if self._owns else None
        if beating is not None:
            beating.start()
        try:
            await self._look_on()
        finally:
            if beating is not None:
                await beating.stop()
                await self._leave()

    async def _look_on(self) -> None:
        is_known = not self._owns
        while not self._is_stopping:
            try:
                if not is_known:
                    async with self._read_db.begin() as connection:
                        await workers.beat(connection, self.id, self._code)
                    is_known = True
                await self._look()
                self._is_away = False
            except Unavailable as error:
                if not self._is_away:
                    _logger.warning("worker %s can't see who owns what, a database is away: %s", self.id, error)
                self._is_away = True
            except Exception:  # whatever it is, the next look may be well
                _logger.exception("worker %s can't see who owns what", self.id)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._look_now.wait(), LOOK_S)
            self._look_now.clear()

    async def _leave(self) -> None:
        with suppress(Unavailable):  # it is seen to be dead when its time has run out
            async with self._read_db.begin() as connection:
                await workers.forget(connection, self.id, await checkpoint.now(connection))

    async def _look(self) -> None:
        self.looks += 1
        number = self.looks
        async with self._read_db.snapshot() as connection:
            every = {each.share: each for each in await checkpoint.all_of(connection)}
            now = await checkpoint.now(connection)
            alive = await workers.alive(connection, now) if self._owns else {}
            is_parked = any(each.parked_at is not None for each in every.values())
            seen = Seen(now, every, alive, await parked.wanted(connection) if is_parked else ())
        if self._seen is not None:
            self._seen.set_result(seen)
            self._seen = None
        self._tell_of_unowned(seen)
        claim, give_up = self._decide(seen)
        for share, turn in self._turns.items():
            turn.look, turn.row = number, seen.rows.get(share)
            turn.may_claim = share in claim or seen.owner(share) == self.id
            turn.give_up, turn.replaced = share in give_up, seen.is_replaced(share)
            turn.wanted = share in seen.wanted
            turn.told()

    def _decide(self, seen: Seen) -> tuple[Collection[Share], Collection[Share]]:
        owners = {share: seen.owner(share) for share in self._turns}
        at = Standing(self.id, owners, {**seen.alive, self.id: self._code})
        time = monotonic()
        for share in [share for share, until in self._left.items() if until < time]:
            del self._left[share]
            if owners.get(share, "") is None:  # nobody took it, and somebody must
                self._firm[share] = time + FIRM_S
        self._firm = {share: until for share, until in self._firm.items() if until > time}
        overdue = {share for share, row in seen.rows.items() if seen.now - row.lease_until > PATIENCE_US}
        still = {share for share, row in seen.rows.items() if row.paused or row.state != "running"}  # who hears nothing
        return to_claim(at, left=self._left, overdue=overdue), to_give_up(at, firm=still.union(self._firm))

    def _tell_of_unowned(self, seen: Seen) -> None:
        """Log once what has had no owner for long, and once when it has one again; not what is about to be owned."""
        if self._owns and monotonic() - self._began < LEASE_S:
            return
        now = {row.share: row for row in seen.unowned(self._code)}
        for share, row in now.items():
            if share not in self._unowned:
                _logger.error(
                    "projection %s has had no owner for %.1f s: nothing is applied until a worker runs its version %d",
                    share,
                    (seen.now - row.lease_until) / 1_000_000,
                    share.of.version,
                )
        for share in self._unowned.keys() - now.keys():
            _logger.info("projection %s has an owner again, or is not kept any more", share)
        self._unowned = now
