"""
Tell clients what happens while it happens, by Server-Sent Events: the events of a category, or a query's result.

The id of what is sent is a position: a client that lost its connection sends the last one and goes on
there. Nothing is buffered for a client that is slow: it gets what comes next when it has taken what
came before, and is cut off when it takes nothing for a while. A quiet stream has heart-beats.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import ExitStack, aclosing
from dataclasses import dataclass
from time import monotonic
from typing import Any
from weakref import WeakKeyDictionary

import msgspec
from fastapi import Request
from fastapi.sse import KEEPALIVE_COMMENT, EventSourceResponse, format_sse_event
from starlette.types import Receive, Scope, Send

from diptych.app import Running
from diptych.codec import INT64
from diptych.context import acting
from diptych.edge.fastapi.models import output
from diptych.edge.fastapi.settings import Crowd, Settings, running_of
from diptych.edge.fastapi.tail import Piece, Tail, insist_on
from diptych.errors import LogRewound, Malformed, NotFound, Unavailable
from diptych.read.ask.consistency import Answer
from diptych.read.ask.query import Query

_logger = logging.getLogger("diptych.http")

LAST_ID = "Last-Event-ID"
HEARTBEAT_S = 15.0
STALLED_S = 30.0  # a client that takes nothing for so long is cut off
LOOK_S = 0.5  # how soon a stream ends when the application does
PAUSE_S = 1.0
RETRY_MS = 1_000
_encode = msgspec.json.Encoder().encode


class EventsOf(Query[None]):
    """What a client asks that watches events; nobody handles it, a bus's middleware may refuse it."""

    categories: tuple[str, ...]


@dataclass(frozen=True, slots=True, init=False)
class Events:
    """
    A route that sends the events of some categories as they are appended: `"GET /orders/events": Events("Order")`.

    Only what is durable is sent. `Last-Event-ID`, or `?after=`, goes on behind a position; without them it begins now.
    """

    categories: tuple[str, ...]

    def __init__(self, *categories: str) -> None:
        object.__setattr__(self, "categories", categories)


@dataclass(frozen=True, slots=True)
class Live:
    """
    A route that sends a query's result, and again whenever it changes: `"GET /orders/live": Live(SearchOrders)`.

    Args:
        query: Filled from the request as by a route of its own.
        every_s: At most one result in so many seconds.
    """

    query: type[Query[Any]]
    every_s: float = 0.25


class Streams:
    """The streams that are open behind one router, bounded."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._crowd = Crowd("live streams", settings.limits.streams)
        self._tails: WeakKeyDictionary[Running, dict[tuple[str, ...], Tail]] = WeakKeyDictionary()

    async def events(self, request: Request, categories: tuple[str, ...], after: int | None) -> "LiveResponse":
        """The events of some categories behind a position, for ever."""
        running = running_of(request)
        running.require_log("a stream of events")
        seen = _last_id(request)  # a browser comes back to the same URL, whatever that says
        position = after if seen is None else seen
        with acting(actor=self._settings.principal(request)):
            await running.queries.admit(EventsOf(categories=categories))
        with ExitStack() as place:
            place.enter_context(self._crowd.joined())
            if position is None:
                position = await running.event_store.head()
            await insist_on(running.event_store, position)
            tails = self._tails.setdefault(running, {})
            tail = tails.setdefault(categories, Tail(running.event_store, categories))
            return LiveResponse(_told(running, tail, position), place.pop_all())

    async def results(self, request: Request, live: Live, values: Mapping[str, Any]) -> "LiveResponse":
        """The result of a query, and each that it changes into."""
        with ExitStack() as place:
            place.enter_context(self._crowd.joined())
            asking = _Asking(running_of(request), live.query(**values), self._settings.principal(request))
            first = await asking.now(_last_id(request) or 0, self._settings.wait_s)
            return LiveResponse(_changes(asking, first, live.every_s), place.pop_all())


class LiveResponse(EventSourceResponse):
    """
    Server-Sent Events, cut off where the client doesn't take them; it comes back for what it had not taken.

    Args:
        place: What it holds among the streams, until it ends.
    """

    def __init__(self, content: AsyncGenerator[bytes, None], place: ExitStack) -> None:
        self._content, self._place = content, place
        super().__init__(content, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream, and give its place up."""
        with self._place:
            await super().__call__(scope, receive, send)

    async def stream_response(self, send: Send) -> None:
        """Send until the stream ends, or nobody takes it."""

        async def send_in_time(message: Any) -> None:
            async with asyncio.timeout(STALLED_S):
                await send(message)

        async with aclosing(self._content):
            try:
                await super().stream_response(send_in_time)
            except TimeoutError:
                _logger.info("a client took nothing of its stream for %s s: it was cut off", STALLED_S)


async def _told(running: Running, tail: Tail, position: int) -> AsyncGenerator[bytes, None]:
    """Events from a position on; the first block says where that is, so that nothing is lost however early it ends."""
    yield format_sse_event(id=str(position), retry=RETRY_MS)
    piece, quiet_since = Piece(position, position, b"", is_full=True), monotonic()
    async with tail.watched():
        while not running.stopping and (following := await _behind(tail, piece)) is not None:
            piece = following
            if piece.sent or monotonic() - quiet_since >= HEARTBEAT_S:
                yield piece.sent or KEEPALIVE_COMMENT
                quiet_since = monotonic()


async def _behind(tail: Tail, piece: Piece) -> Piece | None:
    """The piece behind another, empty where nothing came for a while; None where the stream can't go on."""
    try:
        if not piece.is_full:
            await tail.beyond(piece.through, LOOK_S)
        return await tail.after(piece.through)
    except (LogRewound, Unavailable) as error:  # which the client is told when it comes back
        _logger.info("a stream of events ends: %s", error)
        return None


class _Asking:
    """A query that is asked again and again, for one client."""

    def __init__(self, running: Running, query: Query[Any], actor: str | None) -> None:
        self.running = running
        self._query, self._actor = query, actor

    async def now(self, position: int, timeout_s: float) -> Answer[Any]:
        """Its answer, no earlier than a position if that comes in time."""
        with acting(actor=self._actor):
            return await self.running.ask(self._query, position=position, timeout_s=timeout_s)

    async def beyond(self, position: int) -> Answer[Any] | None:
        """Its answer when its read model has moved beyond a position, or after a while; None at the end."""
        asking = asyncio.create_task(self.now(position, HEARTBEAT_S))
        try:
            while not asking.done():
                await asyncio.wait([asking], timeout=LOOK_S)
                if self.running.stopping:
                    return None
            return asking.result()
        finally:
            asking.cancel()


async def _changes(asking: _Asking, first: Answer[Any], every_s: float) -> AsyncGenerator[bytes, None]:
    """Results, each that differs from the one before."""
    answer: Answer[Any] | None = first
    last, quiet_since = b"", monotonic()
    while answer is not None:
        body = _encode(output(answer.data))
        if body != last:
            id = None if answer.position is None else str(answer.position)
            yield format_sse_event(data_str=body.decode(), id=id, retry=None if last else RETRY_MS)
        elif monotonic() - quiet_since >= HEARTBEAT_S:
            yield KEEPALIVE_COMMENT
        quiet_since = monotonic() if body != last else quiet_since
        last = body
        stands_still = answer.position is None or (answer.stale and answer.reason != "timeout")
        await asyncio.sleep(PAUSE_S if stands_still else every_s)
        answer = await _next(asking, (answer.position or 0) + 1, answer)


async def _next(asking: _Asking, position: int, before: Answer[Any]) -> Answer[Any] | None:
    """The next answer; that before, while there is none to be had."""
    try:
        return await asking.beyond(position)
    except NotFound:
        return Answer(None, before.position, stale=True, reason="not found")  # which no position puts an end to
    except Unavailable as error:
        _logger.info("a query that is watched can't be answered now: %s", error)
        await asyncio.sleep(PAUSE_S)
        return None if asking.running.stopping else before


def _last_id(request: Request) -> int | None:
    """The position that a client has seen, from the stream that it lost."""
    given = request.headers.get(LAST_ID)
    if given is None or given == "":
        return None
    if not given.isascii() or not given.isdecimal() or len(given) > 19 or int(given) not in INT64:
        raise Malformed(LAST_ID, "it is no position")
    return int(given)
