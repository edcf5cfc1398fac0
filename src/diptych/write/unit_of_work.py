"""
Gather what one run of a command's handler changes, to be committed in one transaction.

It ends with the run: a task that the handler left behind works for itself, and
what it saves commits at once.
"""

from collections.abc import Callable, Sequence
from contextvars import Token
from hashlib import blake2b
from typing import Any, TypeVar

import msgspec

from diptych.context import current_metadata, reset_metadata, set_metadata
from diptych.errors import PreconditionFailed, TwoLogs, Unavailable, WrongVersion
from diptych.event import Metadata, RecordedEvent, event_type
from diptych.log import Appended, AppendIds, EventStore, ToStream, append_ids, command_under_way
from diptych.store.port import CommandRecord, Outcome
from diptych.write.condition import Condition, version_behind

T = TypeVar("T")


class UnitOfWork(msgspec.Struct):
    """
    One run of one command's handler.

    Attributes:
        event_store: The log that it used, and the only one it may; None so far.
        condition: The versions that the command's sender allows.
        names_version: Whether the handler insisted on a version that its caller has seen.
    """

    command_id: str
    event_store: EventStore | None
    digest: Callable[[], bytes]  # asked for when it is needed: it costs a little
    metadata: Metadata
    condition: Condition | None = None
    names_version: bool = False
    is_running: bool = False
    _known: dict[tuple[type, str], Any] = {}
    _staged: dict[str, ToStream] = {}
    _loaded: tuple[str, int] | None = None
    _seen: dict[str, tuple[int, str]] = {}
    _connections: int = 0
    _appended: tuple[str, int] | None = None
    _ordinal: int = 0

    @staticmethod
    def begun(
        command_id: str, event_store: EventStore | None, digest: Callable[[], bytes], condition: Condition | None = None
    ) -> "UnitOfWork":
        """A unit whose events will carry the metadata of where it is begun, and its command's id."""
        outer = current_metadata()
        metadata = Metadata(
            outer.correlation_id or command_id, command_id, command_id, outer.actor, outer.traceparent, outer.extra
        )
        unit = UnitOfWork(command_id, None, digest, metadata, condition)
        if event_store is not None:
            unit.use(event_store)
        return unit

    def begin(self) -> tuple[Token[AppendIds | None], Token[Metadata]]:
        """What is saved and appended from here on belongs to this unit, until what it returns is given to `end`."""
        self.is_running = True
        return append_ids.set(self), set_metadata(self.metadata)

    def end(self, begun: tuple[Token[AppendIds | None], Token[Metadata]]) -> None:
        """The handler has returned, or raised."""
        self.is_running = False
        reset_metadata(begun[1])
        append_ids.reset(begun[0])

    def use(self, event_store: EventStore) -> None:
        """
        Note the log that the command works on.

        Raises:
            TwoLogs: It works on another one already.
        """
        if self.event_store is None:
            self.event_store, self._connections = event_store, event_store.store.connections
        elif self.event_store is not event_store:
            raise TwoLogs

    def known(self, kind: type, stream: str) -> Any | None:
        """What this unit loaded or saved of a stream before; None for nothing."""
        return self._known.get((kind, stream))

    def know(self, kind: type, stream: str, thing: T, *, version: int) -> T:
        """Keep what a stream was read as; of two that were read at once, the first for both."""
        if self._loaded is None:
            self._loaded = (stream, version)
        kept: T = self._known.setdefault((kind, stream), thing)
        return kept

    def saw(self, last: RecordedEvent[Any]) -> None:
        """Note the last event of a stream that was read before it was durable."""
        self._seen[last.stream_id] = (last.global_position, last.event_id)

    async def prove(self) -> None:
        """
        Make sure that what was read is durable, and still there.

        An answer that no append comes with follows from it alone; an append brings it to the disk, but
        for what a crash took in between.

        Raises:
            Unavailable: A crash took some of it back.
        """
        for stream, (position, id) in self._seen.items():
            assert self.event_store is not None
            there = await self.event_store.store.event_at(position)
            if there is None or there.id != id:
                raise Unavailable(
                    f"the log lost the end of stream {stream!r} while command {self.command_id!r} was handled, "
                    "before it was durable: send the command again, nothing of it was stored"
                )

    def stage(self, added: ToStream, *, after: int) -> None:
        """
        Add events to be committed, behind those staged for the same stream.

        Args:
            after: The version that *added* follows on.

        Raises:
            WrongVersion: What is staged ends elsewhere: two objects stand for one stream.
        """
        self.metadata = current_metadata()
        before = self._staged.get(added.stream_id)
        if before is not None:
            end = (before.expected_version if isinstance(before.expected_version, int) else 0) + len(before.events)
            if end != after:
                raise WrongVersion(stream=added.stream_id, expected=after, actual=end)
            events = [*before.events, *added.events]
            added = ToStream(added.stream_id, added.stream_type, events, before.expected_version)
        self._staged[added.stream_id] = added

    def next_id(self, event_store: EventStore) -> str:
        """The id of a direct append: the command's and an ordinal, the same when the handler runs again."""
        self.use(event_store)
        self._ordinal += 1
        return f"{self.command_id}/{self._ordinal}"

    def digest_of(self, streams: Sequence[ToStream]) -> bytes:
        """
        What a direct append must have in common with the first of its id: the command, the streams, the event types.

        Not the values: a handler that runs again may have drawn new ids and times, and its first append stands.
        """
        if self.condition is not None and self._appended is None:
            self.condition.insist(*version_behind(streams))
        shape = [(each.stream_id, [event_type(type(event)).name for event in each.events]) for each in streams]
        return blake2b(self.digest() + msgspec.json.encode(shape), digest_size=16).digest()

    def appended(self, event_store: EventStore, appended: Appended) -> None:
        """Note where a direct append ended, for the receipt."""
        if self._appended is None:
            self._appended = (appended.stream, appended.version)

    async def commit(self, event_store: EventStore, *, result: bytes) -> Outcome:
        """
        Commit what is staged, and the command's id, digest and result with it.

        Raises:
            PreconditionFailed: Its stream is, or has come, where its sender doesn't allow it.
            WrongVersion: Another writer came first.
            Unavailable: A crash took back what it follows from; see `prove`.
        """
        if not self._staged or event_store.store.connections != self._connections:
            await self.prove()  # behind a crash, what is staged may follow from what is gone
        await self.insist()
        stream, version = self._appended or self._loaded or ("", 0)
        record = CommandRecord(self.command_id, self.digest(), result, stream, version)
        try:
            return await event_store.commit(list(self._staged.values()), record, self.metadata)
        except WrongVersion as lost:
            if self.condition is not None and lost.stream == next(iter(self._staged)):
                self.condition.insist(lost.stream, lost.actual)
            raise

    async def insist(self) -> None:
        """
        Refuse what the command's sender doesn't allow, so far as it is known.

        Raises:
            PreconditionFailed: The stream that it changed, or loaded first, is at another version.
            Unavailable: Or so it seemed; see `prove`.
        """
        try:
            self._insist()
        except PreconditionFailed:
            await self.prove()
            raise

    def _insist(self) -> None:
        if self.condition is None or self._appended is not None:
            return
        if self._staged:
            self.condition.insist(*version_behind(list(self._staged.values())))
        else:
            self.condition.insist(*(self._loaded or ("", 0)))


def current_unit() -> UnitOfWork | None:
    """The unit of the command that is being handled, if one is."""
    unit = command_under_way()
    return unit if isinstance(unit, UnitOfWork) else None
