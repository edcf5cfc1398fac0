"""
THE HINGE: events of an application over a store of bytes.

What is appended here is durable when the call returns (P1); what is read here
was durable before it was handed out. Readers get every event once, in the
order of positions, and none appears behind a reader's back (P2).
"""

from collections.abc import AsyncIterator, Collection, Iterable, Sequence
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from msgspec import Struct

from diptych.catalogue import Catalogue
from diptych.codec import INT64, Codec, check
from diptych.context import current_metadata
from diptych.errors import BadDatabase, LogRewound, Misuse
from diptych.event import Event, Metadata, RecordedEvent
from diptych.past import At, microseconds, position_at, recorded_by
from diptych.store import open_store_backend
from diptych.store.port import (
    ANY,
    UNFINISHED,
    Append,
    CommandRecord,
    Expected,
    LogIdentity,
    NewEvent,
    Outcome,
    Page,
    Store,
    StoredEvent,
    StreamAppend,
)

READ_LIMIT = 1000
SUBSCRIPTION_POLL_S = 1.0


class ToStream(Struct, frozen=True, gc=False):
    """
    Events for the end of one stream, as a part of an append.

    Args:
        events: At least one.
        expected_version: `ANY`, `NO_STREAM`, `EXISTS` or the exact version the stream must be at.
    """

    stream_id: str
    stream_type: str
    events: Sequence[Event]
    expected_version: Expected = ANY


class Appended(Struct, frozen=True, gc=False):
    """Where an append ended: the (first) stream, its version, and the position of the last event."""

    stream: str
    version: int
    position: int


class AppendIds(Protocol):
    """Who names the appends made while a command is handled, and learns of their outcome."""

    is_running: bool
    """Whether the command is still being handled: a task that its handler left behind works for itself."""

    def next_id(self, event_store: "EventStore") -> str:
        """The id of the append that is about to be made."""

    def digest_of(self, streams: Sequence[ToStream]) -> bytes:
        """What tells whether an append of that id is the same one again."""

    def appended(self, event_store: "EventStore", appended: Appended) -> None:
        """Where it ended."""


append_ids: ContextVar[AppendIds | None] = ContextVar("diptych_append_ids", default=None)


def command_under_way() -> AppendIds | None:
    """Who names the appends made here; None where no command is being handled."""
    naming = append_ids.get()
    return naming if naming is not None and naming.is_running else None


class EventStore:
    """
    An append-only log of events, in streams and in one total order.

    Args:
        store: Where the log rests.
        codec: The event classes that this application knows.
    """

    def __init__(self, store: Store, codec: Codec) -> None:
        self.store: Store = store
        self.codec: Codec = codec

    @property
    def identity(self) -> LogIdentity:
        """Which log this is."""
        return self.store.identity

    async def append_events(
        self,
        *,
        stream_id: str,
        stream_type: str,
        events: Sequence[Event],
        expected_version: Expected = ANY,
        append_id: str | None = None,
    ) -> Appended:
        """
        Append events to one stream, all or none; durable when it returns.

        Args:
            stream_type: The stream's category, the same for ever.
            events: At least one.
            expected_version: `ANY`, `NO_STREAM`, `EXISTS` or an exact version.
            append_id: Names this append: sent again under it, it is answered as the first time and happens once.
                For a caller that may lose the answer; inside a command the command's id does that.

        Raises:
            WrongVersion: The stream is not where it was expected.
            NotStorable: A value that the log can't give back unchanged, or a name of more than 2,000 bytes.
            Unavailable: Not now; `OutcomeUnknown` where it may have happened all the same.
        """
        return await self.append([ToStream(stream_id, stream_type, events, expected_version)], append_id=append_id)

    async def append(self, streams: Sequence[ToStream], *, append_id: str | None = None) -> Appended:
        """
        Append to several streams at once, all or none; see `append_events`.

        Returns:
            The end of the first stream, at the position of the last event.
        """
        naming = command_under_way()
        command = None if append_id is None else CommandRecord(append_id, None, b"null")
        if naming is not None:
            command = CommandRecord(naming.next_id(self), naming.digest_of(streams), b"null")
        outcome = await self.commit(streams, command, current_metadata())
        appended = Appended(outcome.ends[0].stream, outcome.ends[0].version, outcome.position)
        if naming is not None:
            naming.appended(self, appended)
        return appended

    async def commit(self, streams: Sequence[ToStream], command: CommandRecord | None, metadata: Metadata) -> Outcome:
        """Append to streams together with the record of the command that caused it; either may be missing."""
        known = self.codec.encode_metadata(metadata)
        encoded = [self._encoded(stream, known) for stream in streams]
        if not encoded and command is None:
            raise Misuse("an append of nothing: give at least one stream with at least one event")
        append_id = command.id if command else encoded[0].events[0].id
        return await self.store.append(Append(append_id, encoded, command))

    async def command(self, id: str) -> Outcome | None:
        """The first outcome of a command; None if it was never accepted."""
        return await self.store.command(id)

    async def read_stream(
        self,
        stream_id: str,
        from_version: int = 0,
        limit: int | None = None,
        *,
        at: At | None = None,
        durable: bool = True,
    ) -> list[RecordedEvent[Any]]:
        """
        The events of one stream, in order; an empty list for a stream that isn't there.

        Args:
            from_version: Events *after* this version.
            limit: At most so many; None for all.
            at: Only those that were there at this position, or at this time.
            durable: False takes events that a crash may still take back (for a load before an append).

        Raises:
            Unreadable: An event of a known type can't be turned into its class.
        """
        _check_range("from_version", from_version, limit)
        check(stream_id, "the stream id")
        stored = await self.store.read_stream(stream_id, after=from_version, limit=limit, durable=durable)
        return self._decoded(stored if at is None else recorded_by(stored, at))

    async def read_all(
        self,
        from_position: int = 0,
        limit: int = READ_LIMIT,
        *,
        stream_types: Collection[str] = (),
        event_types: Collection[str] = (),
    ) -> list[RecordedEvent[Any]]:
        """
        Events of the whole log in order, *after* a position.

        Args:
            limit: At most so many (≥ 1); ask again from the last position for more.
            stream_types: Only of these categories; empty for all.
            event_types: Only of these stored type names; empty for all.
        """
        _check_range("from_position", from_position, limit)
        page = await self.store.read(from_position, limit=limit, categories=stream_types, types=event_types)
        return self._decoded(page.events)

    async def subscribe(
        self, from_position: int = 0, *, stream_types: Collection[str] = (), event_types: Collection[str] = ()
    ) -> AsyncIterator[RecordedEvent[Any]]:
        """
        Every event after a position, those of the past first, then each as it is appended; never ends.

        Raises:
            LogRewound: The log went back behind where this stands, as by a fail-over to a server that lagged.
        """
        _check_range("from_position", from_position, None)
        position, last_id, connections = from_position, "", self.store.connections
        while True:
            page = await self.store.read(position, limit=READ_LIMIT, categories=stream_types, types=event_types)
            if self.store.connections != connections:
                connections = self.store.connections
                if position > from_position:
                    await self._stand_on(position, last_id)
            for event in self._decoded(page.events):
                yield event
            if page.through != position:
                position, last_id = page.through, await self.id_at(page)
            if len(page.events) < READ_LIMIT:
                await self.store.wait_beyond(position, SUBSCRIPTION_POLL_S)

    async def _stand_on(self, position: int, id: str) -> None:
        """Insist that a subscription's place is still in the log; *id* is of the event there, "" if unknown."""
        there = await self.store.event_at(position)
        if position > await self.store.head() or (id and (there is None or there.id != id)):
            raise LogRewound(
                who=f"subscription at position {position}",
                why="the log has gone back behind it since",
                repair="read again from a position that was handled before, and take back what came after it",
            )

    async def page(self, after: int, *, limit: int, types: Collection[str] = (), durable: bool = True) -> Page:
        """Stored events for a follower that decodes them itself, and how far it has seen the log."""
        return await self.store.read(after, limit=limit, types=types, durable=durable)

    async def id_at(self, page: Page) -> str:
        """The id of the event that a page reaches up to, whether it was asked for or not."""
        if page.events and page.events[-1].position == page.through:
            return page.events[-1].id
        there = await self.store.event_at(page.through)
        return there.id if there else ""

    async def head(self) -> int:
        """The highest position in the log; 0 while it is empty."""
        return await self.store.head()

    async def position_at(self, time: datetime) -> int:
        """
        The last position recorded by a time; 0 where there is none. What is at or below it was the log then.

        Raises:
            Misuse: The time has no time zone.
        """
        return await position_at(self.store, time)

    async def prune_commands(self, older_than: timedelta) -> int:
        """
        Forget the commands recorded longer ago than that; how many they were. Their events stay.

        A command that is sent again after it was forgotten is handled again. Done in short transactions: others
        append meanwhile, and what was forgotten before a failure stays so.
        """
        before, after, forgotten = microseconds(datetime.now(UTC) - older_than), "", 0
        while (pruned := await self.store.prune_commands(before, after=after, limit=READ_LIMIT)).through is not None:
            after, forgotten = pruned.through, forgotten + pruned.forgotten
        return forgotten

    async def position_of(self, stream_id: str, version: int) -> int | None:
        """The position of a stream's version; None while there is no such version."""
        return await self.store.position_of(stream_id, version)

    async def wait_beyond(self, position: int, timeout_s: float) -> None:
        """Return soon after something may lie beyond *position*, or after *timeout_s* seconds."""
        await self.store.wait_beyond(position, timeout_s)

    def decode(self, stored: StoredEvent) -> RecordedEvent[Any]:
        """One stored event as a value; see `Codec.decode`."""
        return self.codec.decode(stored)

    def _encoded(self, stream: ToStream, metadata: bytes) -> StreamAppend:
        if not stream.events:
            raise Misuse(f"no events for stream {stream.stream_id!r}: an append has at least one")
        for what, text in (("stream_id", stream.stream_id), ("stream_type", stream.stream_type)):
            if not text:
                raise Misuse(f"{what} is {text!r}: give text that isn't empty")
            check(text, what)
        events: list[NewEvent] = [self.codec.encode(event, metadata) for event in stream.events]
        return StreamAppend(stream.stream_id, stream.stream_type, stream.expected_version, events)

    def _decoded(self, stored: Iterable[StoredEvent]) -> list[RecordedEvent[Any]]:
        return [self.codec.decode(event) for event in stored]


def _check_range(what: str, after: int, limit: int | None) -> None:
    if type(after) is not int or after not in INT64 or after < 0:
        raise Misuse(f"{what} is {after!r}: give a number from 0 on; events after it are read")
    if limit is not None and (type(limit) is not int or limit not in INT64 or limit < 1):
        raise Misuse(f"limit is {limit!r}: give a number from 1 on")


@asynccontextmanager
async def open_store(url: str, events: Iterable[type[Event]] | None = None) -> AsyncIterator[EventStore]:
    """
    Open a log for as long as the block runs; it is made where there is none.

        async with open_store("sqlite:///log.db", events=[OrderPlaced]) as event_store: ...

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, `memory://` or
            `postgresql://user@host:port/database`.
        events: The event classes that it may hold; None for all defined so far.

    Raises:
        BadDatabase: The URL names no log that can be opened.
        BadCatalogue: The event classes don't fit together.
    """
    codec = Codec(Catalogue.of(events))
    async with open_store_backend(url) as store:
        if store.identity.incarnation == UNFINISHED:
            raise BadDatabase(f"an import into {url} was not finished: import the same file again")
        yield EventStore(store, codec)
