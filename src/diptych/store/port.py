"""
Say what a log's store promises; every backend keeps it.

- An answered append is durable and in the log exactly once (P1).
- Positions increase in the order of commits and may have holes. Once a reader
  has seen position p, nothing at or below p appears later (P2).
- An append is all or nothing over its streams, and is known by its id: the
  same append again gets the first outcome and changes nothing (P5).
- What leaves a store is durable, unless the caller says `durable=False`
  because it can stand losing it: then a crash may take it back.

A store knows bytes and names, never classes: that is the codec's business.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Protocol, TypeAlias

import msgspec


class Expect(Enum):
    """What an append may expect of a stream besides an exact version."""

    ANY = "any"
    NO_STREAM = "no stream"
    EXISTS = "exists"


ANY, NO_STREAM, EXISTS = Expect.ANY, Expect.NO_STREAM, Expect.EXISTS
Expected: TypeAlias = int | Expect


UNFINISHED = 0


class NewEvent(msgspec.Struct, frozen=True, gc=False):
    """An event on its way in. `payload` and `metadata` are UTF-8 JSON objects."""

    id: str
    type: str
    schema_version: int
    payload: bytes
    metadata: bytes


class StoredEvent(msgspec.Struct, frozen=True, gc=False):
    """
    An event as it lies in the log.

    `recorded_at` is in microseconds since 1970 (UTC), by the store's own clock,
    and never goes back along positions.
    """

    position: int
    stream: str
    category: str
    version: int
    type: str
    schema_version: int
    id: str
    payload: bytes
    metadata: bytes
    recorded_at: int


class StreamAppend(msgspec.Struct, frozen=True, gc=False):
    """Events for the end of one stream. At least one event."""

    stream: str
    category: str
    expected: Expected
    events: Sequence[NewEvent]


class CommandRecord(msgspec.Struct, frozen=True, gc=False):
    """
    A command that an append is the outcome of, stored with it.

    `digest` tells whether a repeat has the same body; None accepts any body.
    `result` is JSON. `stream` and `version` are the receipt's where nothing is
    appended; where something is, the first stream of the append stands there.
    """

    id: str
    digest: bytes | None
    result: bytes
    stream: str = ""
    version: int = 0


class Append(msgspec.Struct, frozen=True, gc=False):
    """
    What commits together: streams (each at most once), a command record, or both.

    `id` is unique in the log: the command record's id, else the first event's id.
    """

    id: str
    streams: Sequence[StreamAppend]
    command: CommandRecord | None = None


class StoredCommand(msgspec.Struct, frozen=True, gc=False):
    """A command's record as it lies in the log: `position` is that of its outcome, the time is as an event's."""

    id: str
    digest: bytes | None
    result: bytes
    stream: str
    version: int
    position: int
    recorded_at: int


class StreamEnd(msgspec.Struct, frozen=True, gc=False):
    """Where a stream ended when the append was done."""

    stream: str
    version: int
    position: int


class Outcome(msgspec.Struct, frozen=True, gc=False):
    """
    The answer to an append; a repeat gets the first one again.

    `position` is that of the append's last event; the head of the log where
    nothing was appended. `repeated` tells that this is an answer given before.
    A repeated command's `ends` holds only its first stream.
    """

    ends: Sequence[StreamEnd]
    position: int
    command: CommandRecord | None = None
    repeated: bool = False


@dataclass(frozen=True)
class Page:
    """
    Matching events after a position, oldest first.

    Every matching event at or below `through` is in here or was before the
    position asked after: a follower may move its checkpoint there. `through`
    is never below the position asked after.
    """

    events: Sequence[StoredEvent]
    through: int

    @cached_property
    def size(self) -> int:
        """Bytes of JSON in its events."""
        return sum(len(event.payload) + len(event.metadata) for event in self.events)


class StreamRow(msgspec.Struct, frozen=True, gc=False):
    """A stream in a list: the position that it began at, and where it ends."""

    stream: str
    category: str
    began: int
    version: int
    position: int
    recorded_at: int


class Pruned(msgspec.Struct, frozen=True, gc=False):
    """How many commands were forgotten, and the last id looked at; None where none was left to look at."""

    forgotten: int
    through: str | None


@dataclass(frozen=True, slots=True)
class LogIdentity:
    """
    Which log this is; `incarnation` grows when it is restored to an earlier point.

    It is `UNFINISHED` while an import has not come to its end.
    """

    log_id: str
    incarnation: int


class Store(Protocol):
    """What a backend provides. Every method raises `Unavailable` while the database is away."""

    @property
    def identity(self) -> LogIdentity:
        """Which log this is; known once the store is open."""

    @property
    def connections(self) -> int:
        """
        How many ways to the database were opened so far.

        After a fail-over a new one may lead to a server that lacks what was read: who follows
        the log looks again where it stands when this has grown.
        """

    async def append(self, append: Append) -> Outcome:
        """
        Commit the whole append, or raise and change nothing.

        The append's id is looked up first, then the versions are checked.
        Cancelling the caller does not cancel an append already taken over.

        Raises:
            WrongVersion: A stream is not at its expected version.
            WrongCategory: A stream belongs to another category.
            CommandIdReused: The id was accepted with another digest.
            Overloaded: Too much waits already; nothing was sent.
            OutcomeUnknown: Sent, but no answer in time.
        """

    async def command(self, id: str) -> Outcome | None:
        """The first outcome of a command; None if it was never accepted."""

    async def read(
        self,
        after: int,
        *,
        limit: int,
        categories: Collection[str] = (),
        types: Collection[str] = (),
        durable: bool = True,
    ) -> Page:
        """Events after a position in log order, at most *limit* (≥ 1). An empty filter takes all."""

    async def read_stream(
        self, stream: str, *, after: int = 0, limit: int | None = None, durable: bool = True
    ) -> Sequence[StoredEvent]:
        """Events of one stream after a version, in order; *limit* None takes all."""

    async def streams(self, after: int = 0, *, limit: int, category: str | None = None) -> Sequence[StreamRow]:
        """Streams in the order they began in, those that began after a position, at most *limit* (≥ 1)."""

    async def commands(self, after: str = "", *, limit: int) -> Sequence[StoredCommand]:
        """Commands whose ids come after *after*, by code point, in that order, at most *limit* (≥ 1)."""

    async def event_at(self, position: int) -> StoredEvent | None:
        """The event at exactly this position; None where there is a hole or the log ends before."""

    async def position_of(self, stream: str, version: int) -> int | None:
        """The position of a stream's version; None while there is no such version."""

    async def head(self) -> int:
        """The highest position committed; 0 for an empty log."""

    async def wait_beyond(self, position: int, timeout_s: float) -> None:
        """
        Return soon after something may lie beyond *position*, or after *timeout_s*.

        A hint and no promise: look, and wait again. Thousands may wait at once.
        """

    async def become(self, identity: LogIdentity) -> None:
        """Give the log another identity, durably. For repairs: nobody else may have it open meanwhile."""

    async def put(self, events: Sequence[StoredEvent], commands: Sequence[StoredCommand] = ()) -> None:
        """
        Store events and commands as another log holds them, all or nothing, durable when it returns. For an import.

        A command that is there already, as it is given, stays.

        Raises:
            Misuse: An event doesn't go on where the log ends: by its position, its time, its stream's version,
                or an id that is known.
            CommandIdReused: A command of that id is there, and says something else.
        """

    async def prune_commands(self, before: int, *, after: str = "", limit: int) -> Pruned:
        """
        Forget the commands recorded before a time, of the next *limit* (≥ 1) whose ids come after *after*.

        Durable when it returns. A repeat of a command that was forgotten is a new one. Their events stay.

        Args:
            before: Microseconds since 1970 (UTC).
        """

    async def close(self) -> None:
        """Finish what was taken over, then let go of every thread and connection."""
