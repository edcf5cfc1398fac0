"""
Read the log once for all projections of a process that stand near each other, and decode each event once.

    log ──► page: the types of all that are near ──► kept until the last of them has passed it
                                                     └─► each takes its own types of it

Who is far behind, or wants few of what the others want, reads on its own, by the
index of its types, and a page ahead. Pages that are kept are few: who is ahead waits for those behind, but
never for one that stands still, nor again for one that was slow.
"""

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from operator import attrgetter
from time import monotonic
from typing import Any, NamedTuple
from weakref import WeakSet

from diptych.codec import Codec
from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read.follow.ahead import Ahead, meanwhile
from diptych.read.follow.pace import how_many_fit
from diptych.read.projections.batch import collector_paused
from diptych.store.port import Page, StoredEvent

PAGES = 3
NEAR = 20_000
STANDS_STILL_S = 2.0
PATIENCE_S = 2.0
SPARSE, ENOUGH = 0.25, 1_000  # of the events that others want, and of how many of those
_position = attrgetter("position")


class Shared:
    """
    A page that several take their events from.

    Attributes:
        is_full: Whether more may follow at once.
    """

    def __init__(self, after: int, types: frozenset[str], page: Page, *, is_full: bool) -> None:
        self.after: int = after
        self.through: int = page.through
        self.types: frozenset[str] = types
        self.is_full: bool = is_full
        self.read_at: float = monotonic()
        self._page = page
        self._values: list[RecordedEvent[Any] | None] = [None] * len(page.events)

    def has(self, types: frozenset[str], after: int) -> bool:
        """Whether it has what comes next of some types after a position."""
        return self.after <= after < self.through and types <= self.types

    def awaits(self, reader: "Reader") -> bool:
        """Whether a reader is about to want it."""
        return self.after - NEAR <= reader.after < self.through and reader.types <= self.types and reader.is_along

    def part(self, reader: "Reader", limit: int) -> "Part":
        """What a reader takes of it at most at once."""
        events = self._page.events
        rest = range(bisect_right(events, reader.after, key=_position), len(events))
        own = rest if reader.types == self.types else [at for at in rest if events[at].type in reader.types]
        if self.is_full:
            reader.weigh(len(own), len(rest))
        taken = own[:limit]
        if len(taken) == len(events):
            return Part(self, taken, self._page)
        through = self.through if len(taken) == len(own) else events[taken[-1]].position
        return Part(self, taken, Page([events[at] for at in taken], through))

    def decode(self, places: Sequence[int], codec: Codec) -> list[RecordedEvent[Any]]:
        """The events at some of its places as values, each made once."""
        values = self._values
        return [values[at] or self._made(at, codec) for at in places]

    def _made(self, at: int, codec: Codec) -> RecordedEvent[Any]:
        value = self._values[at] = codec.decode(self._page.events[at])
        return value


class Part(NamedTuple):
    """What one reader took of a page that is shared, and at which of its places that lies."""

    shared: Shared
    places: Sequence[int]
    page: Page

    @property
    def is_last(self) -> bool:
        """Whether it is the rest of a page that reached the head of the log."""
        return self.page.through == self.shared.through and not self.shared.is_full


class Feed:
    """What the readers of one log share."""

    def __init__(self, event_store: EventStore) -> None:
        self.event_store: EventStore = event_store
        self._readers: WeakSet[Reader] = WeakSet()
        self._shared: deque[Shared] = deque()
        self._turns = asyncio.Lock()
        self._moved = asyncio.Event()
        self._connections = 0
        self._fit = how_many_fit(Page((), 0))  # nobody knows yet how large they are

    def reader(self, types: Collection[str]) -> "Reader":
        """A reader of events of some types; it is along until nothing refers to it any more."""
        reader = Reader(self, frozenset(types))
        self._readers.add(reader)
        return reader

    async def next(self, reader: "Reader", limit: int) -> Shared | Page:
        """What has the events after a reader's position: a page that is shared, or one of its own."""
        self._forget()
        self._moved.set()
        while True:
            if (found := self._find(reader)) is not None:
                return found
            if not self._leads(reader, reader.after):
                return await self.event_store.page(reader.after, limit=limit, types=reader.types)
            if len(self._shared) >= PAGES:
                if reader.is_at_head:  # what comes live waits for nobody
                    return await self.event_store.page(reader.after, limit=limit, types=reader.types)
                await self._wait_for_those_behind(reader)
                continue
            async with self._turns:
                return self._find(reader) or await self._read(reader, reader.after, limit)

    def has_next(self, reader: "Reader", after: int) -> bool:
        """Whether what comes next for a reader is kept already, or is to be read for others too."""
        return any(shared.has(reader.types, after) for shared in self._shared) or self._leads(reader, after)

    def is_near_others(self, reader: "Reader") -> bool:
        """Whether others take their pages from around where a reader does, behind it or ahead."""
        return not reader.reads_alone and bool(
            self._others(reader, range(reader.after - NEAR, reader.after + NEAR + 1))
        )

    async def read_on(self, reader: "Reader", shared: Shared, limit: int) -> None:
        """Read what comes after a shared page, if that is the last of a few."""
        async with self._turns:
            if shared.is_full and len(self._shared) < PAGES and self._shared and self._shared[-1] is shared:
                await self._read(reader, shared.through, limit)

    async def _read(self, reader: "Reader", after: int, limit: int) -> Shared:
        types = reader.types.union(*(each.types for each in self._others(reader, _short_of(after))))
        connections = self.event_store.store.connections
        limit = min(limit, self._fit)
        page = await self.event_store.page(after, limit=limit, types=types)
        read = Shared(after, types, page, is_full=len(page.events) >= limit)
        self._fit = how_many_fit(page)
        if read.through > read.after and self.event_store.store.connections == connections:
            self._shared.append(read)
        return read

    def _find(self, reader: "Reader") -> Shared | None:
        if self.event_store.store.connections != self._connections:  # a new one may lead to a server that lacks these
            self._connections = self.event_store.store.connections
            self._shared.clear()
        return next((shared for shared in self._shared if shared.has(reader.types, reader.after)), None)

    def _leads(self, reader: "Reader", after: int) -> bool:
        """Whether a reader is to read what comes after a position for others too: it isn't kept, and they follow."""
        if self._shared and after < self._shared[-1].through:
            return False
        return not reader.reads_alone and bool(self._others(reader, _short_of(after)))

    def _others(self, reader: "Reader", near: range) -> list["Reader"]:
        """Who else stands near, and is about to want what comes next."""
        others = [each for each in self._readers if each is not reader and each.after in near]
        return [each for each in others if each.is_along or (each.is_at_head and not each.reads_alone)]

    async def _wait_for_those_behind(self, reader: "Reader") -> None:
        """Wait for somebody to move, but no longer than until all stand still."""
        self._moved.clear()
        oldest = self._shared[0]
        behind = [each for each in self._readers if each is not reader and oldest.awaits(each)]
        idle_s = min((each.idle_s for each in behind), default=STANDS_STILL_S)
        with suppress(TimeoutError):
            await asyncio.wait_for(self._moved.wait(), STANDS_STILL_S - idle_s + 0.01)
        if oldest in self._shared and monotonic() - oldest.read_at > PATIENCE_S:
            for each in behind:
                each.reads_alone = True  # until it is at the head
        self._forget()

    def _forget(self) -> None:
        """Let go of the pages that nobody is about to want."""
        while self._shared and not any(self._shared[0].awaits(each) for each in self._readers):
            self._shared.popleft()


def _short_of(position: int) -> range:
    """Where those stand who are about to want what comes after a position."""
    return range(position - NEAR, position + 1)


class Reader:
    """
    Who reads events of some types, from a position on.

    Attributes:
        after: Where it stands.
        is_at_head: Whether its last page reached the head of the log.
        reads_alone: Whether it wants so few of what others want that it finds them sooner by the index.
    """

    def __init__(self, feed: Feed, types: frozenset[str]) -> None:
        self.types: frozenset[str] = types
        self.after: int = 0
        self.is_at_head: bool = False
        self.reads_alone: bool = False
        self._feed, self._moved_at = feed, monotonic()
        self._from: Part | None = None
        self._wanted, self._weighed = 0, 0
        self._ahead = Ahead(feed.event_store, self.types)

    @property
    def idle_s(self) -> float:
        """For how long it hasn't moved."""
        return monotonic() - self._moved_at

    @property
    def is_along(self) -> bool:
        """Whether others should read for it, and wait for it."""
        return not self.reads_alone and self.idle_s < STANDS_STILL_S

    async def page(self, after: int, limit: int) -> Page:
        """Events after a position, at most *limit*, and how far this shows the log."""
        self.after, self._moved_at = after, monotonic()
        with collector_paused():
            found = self._ahead.page(after, limit) or await self._feed.next(self, limit)
        self._moved_at = monotonic()
        if isinstance(found, Shared):
            self._from = found.part(self, limit)
            self.is_at_head = self._from.is_last
            return self._from.page
        self._from, self.is_at_head = None, len(found.events) < limit
        self.reads_alone = self.reads_alone and not self.is_at_head  # where little comes, nobody is in the way
        return found

    def weigh(self, own: int, every: int) -> None:
        """Read alone from now on where it wants few of the events that others want, once enough of them are seen."""
        self._wanted, self._weighed = self._wanted + own, self._weighed + every
        if self._weighed >= ENOUGH:
            self.reads_alone = self._wanted < SPARSE * self._weighed
            self._wanted = self._weighed = 0

    def reading_on(self, page: Page, limit: int) -> AbstractAsyncContextManager[None]:
        """Read what comes after a page while the block applies it, for those that share it too."""
        shared = self._from and self._from.shared
        if shared is not None and self._feed.is_near_others(self):
            return meanwhile(lambda: self._feed.read_on(self, shared, limit))
        if self.is_at_head or (shared and page.through < shared.through) or self._feed.has_next(self, page.through):
            return nullcontext()
        return self._ahead.reading(page.through, limit)

    def decode(self, events: Sequence[StoredEvent]) -> list[RecordedEvent[Any]]:
        """Events of the last page as values; of a part of it, as the end of a build may be, each for itself."""
        codec = self._feed.event_store.codec
        if self._from is not None and self._from.page.events is events:
            return self._from.shared.decode(self._from.places, codec)
        if (made := self._ahead.decoded(events)) is not None:
            return made
        return [codec.decode(event) for event in events]
