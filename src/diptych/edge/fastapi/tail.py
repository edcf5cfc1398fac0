"""
Follow the end of a log once for everybody who watches it: one read, however many are connected.

Whoever is behind reads for himself from where he stands; the end only says that there is more,
and keeps the last piece that was read.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import msgspec
from fastapi.sse import format_sse_event

from diptych.errors import LogRewound, Unavailable
from diptych.event import RawEvent, RecordedEvent
from diptych.log import EventStore
from diptych.store.port import StoredEvent

_logger = logging.getLogger("diptych.http")

PIECE = 100  # events that one connection holds in memory at most
POLL_S = 1.0
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Piece:
    """
    Events as they are sent, from behind one position up to another.

    Attributes:
        is_full: Whether there may be more at once.
        last: The last of them, as it is stored.
    """

    after: int
    through: int
    sent: bytes
    is_full: bool
    last: StoredEvent | None = None


class Tail:
    """The end of a log, as far as some categories go; only durable events are in it."""

    def __init__(self, event_store: EventStore, categories: Sequence[str]) -> None:
        self._event_store, self._categories = event_store, categories
        self._through = 0
        self._watching = 0
        self._moved = asyncio.Event()
        self._reads: dict[int, asyncio.Task[Piece]] = {}
        self._last: Piece | None = None
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def watched(self) -> AsyncIterator[None]:
        """Follow for as long as the block runs, with everybody else who does."""
        self._watching += 1
        if self._task is None or self._task.done():
            self._begin()
        try:
            yield
        finally:
            self._watching -= 1
            if not self._watching and self._task is not None:
                task, self._task = self._task, None
                task.cancel()
                await asyncio.wait([task])

    def _begin(self) -> None:
        """Follow anew; whatever was seen before, the log may have gone back since."""
        self._last, self._through = None, 0
        self._task = asyncio.create_task(self._follow(), name="diptych-live")
        self._task.add_done_callback(_note_end)

    async def after(self, position: int) -> Piece:
        """
        The events behind a position; read once for all who ask at the same time.

        Raises:
            Unavailable: The log is away.
        """
        if self._last is not None and self._last.after == position:
            return self._last
        reading = self._reads.get(position)
        if reading is None:
            reading = self._reads[position] = asyncio.create_task(self._read(position))
            reading.add_done_callback(_note_end)
        return await asyncio.shield(reading)

    async def beyond(self, position: int, timeout_s: float) -> None:
        """
        Return once something may lie beyond a position, or after some seconds.

        Raises:
            LogRewound: The log went back.
        """
        if self._task is not None and self._task.done():
            self._task.result()
        if self._through <= position:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._moved.wait(), timeout_s)

    async def _follow(self) -> None:
        has_begun, stood_on = False, -1
        last: StoredEvent | None = None
        while True:
            try:
                if not has_begun:
                    self._move_to(await self._event_store.head())
                    has_begun = True
                piece = await self.after(self._through)
                connections = self._event_store.store.connections
                if connections != stood_on:  # a new one may lead to a server that lacks something
                    await insist_on(self._event_store, self._through, last)
                    stood_on = connections
            except Unavailable as error:
                _logger.info("the log can't be followed now: %s", error)
                await asyncio.sleep(POLL_S)
                continue
            if piece.through > self._through:
                self._last, last = piece, piece.last or last
                self._move_to(piece.through)
            if not piece.is_full:
                await self._event_store.wait_beyond(self._through, POLL_S)

    def _move_to(self, through: int) -> None:
        self._through = through
        moved, self._moved = self._moved, asyncio.Event()
        moved.set()

    async def _read(self, position: int) -> Piece:
        try:
            page = await self._event_store.store.read(position, limit=PIECE, categories=self._categories)
        finally:
            del self._reads[position]  # here: who comes once it is over must not be given what was read before
        sent = b"".join(_event(self._event_store.decode(stored)) for stored in page.events)
        return Piece(position, page.through, sent, len(page.events) == PIECE, page.events[-1] if page.events else None)


def _note_end(task: "asyncio.Task[Any]") -> None:
    """Take note of how a task ended: nobody may be left who wants to know."""
    if not task.cancelled():
        task.exception()


async def insist_on(event_store: EventStore, position: int, last: StoredEvent | None = None) -> None:
    """
    Insist that a position is in the log, and the last event that was seen of it.

    Raises:
        LogRewound: The log ends before it, or has another event in its place.
    """
    there = await event_store.store.event_at(last.position) if last else None
    is_another = last is not None and (there is None or there.id != last.id)
    if is_another or position > await event_store.head():
        raise LogRewound(
            who=f"event id {position}",
            why="it is not in the log any more, which was put back or is another one",
            repair="connect again without Last-Event-ID, and read again what is shown",
        )


def _event(event: RecordedEvent[Any]) -> bytes:
    told = {
        "position": event.global_position,
        "stream": event.stream_id,
        "version": event.version,
        "type": event.event_type,
        "event_id": event.event_id,
        "recorded_at": event.recorded_at,
        "data": event.data.payload if isinstance(event.data, RawEvent) else event.data,
    }
    return format_sse_event(
        data_str=_encode(told).decode(), event=one_line(event.event_type), id=str(event.global_position)
    )


def one_line(text: str) -> str:
    """A text that may stand in a field of an event."""
    return " ".join(text.split())
