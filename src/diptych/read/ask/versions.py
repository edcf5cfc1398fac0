"""
Find where a version of a stream is in the log, one that is still to come too.

Whoever waits looks for himself first; then one reader follows the log for all of
them, so that thousands who wait ask no more of it than one does.
"""

import asyncio
from typing import TypeAlias

from diptych.errors import DiptychError
from diptych.log import READ_LIMIT, EventStore
from diptych.store.port import Page

POLL_S = 1.0
AGAIN_S = 0.1
Place: TypeAlias = "asyncio.Future[int]"


class Versions:
    """The positions of stream versions, in one log."""

    def __init__(self, event_store: EventStore) -> None:
        self._event_store = event_store
        self._awaited: dict[tuple[str, int], set[Place]] = {}
        self._reader: asyncio.Task[None] | None = None
        self._begun: asyncio.Future[None] | None = None

    async def position_of(self, stream_id: str, version: int, timeout_s: float) -> int | None:
        """
        The position of a stream's version, as soon as there is one; None if the time was up before.

        Args:
            version: 0 is at position 0: every stream has been empty.
            timeout_s: 0 looks once.
        """
        if version <= 0:
            return 0
        there = await self._event_store.position_of(stream_id, version)
        return await self._coming(stream_id, version, timeout_s) if there is None else there

    async def _coming(self, stream_id: str, version: int, timeout_s: float) -> int | None:
        place: Place = asyncio.get_running_loop().create_future()
        self._awaited.setdefault((stream_id, version), set()).add(place)
        try:
            async with asyncio.timeout(timeout_s):
                await self._reading()
                there = await self._event_store.position_of(stream_id, version)  # it may have come before the reader
                return await place if there is None else there
        except TimeoutError:
            return None
        finally:
            self._forget((stream_id, version), place)

    def _forget(self, key: tuple[str, int], place: Place) -> None:
        self._awaited[key].discard(place)
        if not self._awaited[key]:
            del self._awaited[key]
        if not self._awaited and self._reader is not None:
            self._reader.cancel()

    async def _reading(self) -> None:
        """Return once the reader meets whatever comes from now on."""
        if self._begun is None or self._reader is None or self._reader.cancelling() or self._reader.done():
            self._begun = asyncio.get_running_loop().create_future()
            self._reader = asyncio.create_task(self._read(self._begun), name="diptych-versions")
        await asyncio.shield(self._begun)

    async def _read(self, begun: "asyncio.Future[None]") -> None:
        position: int | None = None
        while True:
            try:
                if position is None:
                    position = await self._event_store.head()
                    begun.set_result(None)
                page = await self._event_store.page(position, limit=READ_LIMIT)
                self._found_in(page)
                position = page.through
                if len(page.events) < READ_LIMIT:
                    await self._event_store.wait_beyond(position, POLL_S)
            except DiptychError:  # those who wait learn of it by their own time-out
                await asyncio.sleep(AGAIN_S)

    def _found_in(self, page: Page) -> None:
        for event in page.events:
            for place in self._awaited.get((event.stream, event.version), ()):
                if not place.done():
                    place.set_result(event.position)
