"""
Read and decode the next page of the log while the last one is applied.

The log's server works then while the read models' does, and this process while it
would wait for either. What was read ahead serves only whoever asks for just that,
over the connections that were there before: behind a fail-over it is read again.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.store.port import Page, StoredEvent


@dataclass(frozen=True, slots=True)
class _Asked:
    after: int
    limit: int
    connections: int


class Ahead:
    """At most one page of some types, read before somebody asks for it."""

    def __init__(self, event_store: EventStore, types: Collection[str]) -> None:
        self._event_store, self._types = event_store, types
        self._page: tuple[_Asked, Page] | None = None
        self._decoded: tuple[Sequence[StoredEvent], list[RecordedEvent[Any]]] | None = None

    def reading(self, after: int, limit: int) -> AbstractAsyncContextManager[None]:
        """Read the page after a position while the block runs."""
        asked = self._asked(after, limit)
        return meanwhile(lambda: self._read(asked))

    def page(self, after: int, limit: int) -> Page | None:
        """The page after a position, if it is here; it is given once."""
        read, self._page = self._page, None
        if read is not None and read[0] == self._asked(after, limit):
            return read[1]
        self._decoded = None
        return None

    def decoded(self, events: Sequence[StoredEvent]) -> list[RecordedEvent[Any]] | None:
        """The events of a page that was read ahead, all of them, if they are here; they are given once."""
        made, self._decoded = self._decoded, None
        return made[1] if made is not None and made[0] is events else None

    def _asked(self, after: int, limit: int) -> _Asked:
        return _Asked(after, limit, self._event_store.store.connections)

    async def _read(self, asked: _Asked) -> None:
        self._page = self._decoded = None
        page = await self._event_store.page(asked.after, limit=asked.limit, types=self._types)
        self._page = (asked, page)
        self._decoded = (page.events, [self._event_store.codec.decode(event) for event in page.events])


@asynccontextmanager
async def meanwhile(read: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Read while the block runs, to the end of the reading; what fails is left to whoever asks for it."""

    async def reading() -> None:
        with suppress(Exception):
            await read()

    task = asyncio.create_task(reading(), name="diptych-read-ahead")
    try:
        yield
        await asyncio.wait([task])
    finally:
        task.cancel()
        await asyncio.wait([task])
