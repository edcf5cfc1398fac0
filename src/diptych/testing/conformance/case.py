"""
What every group of cases stands on: an open store, and short words for what goes in.
"""

import asyncio
import time
from abc import abstractmethod
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from diptych.message import new_id
from diptych.store.port import ANY, Append, CommandRecord, Expected, NewEvent, Store, StoredEvent, StreamAppend

DEADLINE_S = 60.0


class StoreCase:
    """A group of cases; `store` is open, empty and new for each of them."""

    @abstractmethod
    def open_store(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        """The store under test; a durable one keeps its log in *folder*."""

    @pytest.fixture
    async def store(self, tmp_path: Path) -> AsyncIterator[Store]:
        """An empty store."""
        async with self.open_store(tmp_path) as store:
            yield store


def event(type: str = "Happened", *, id: str | None = None, payload: bytes = b"{}") -> NewEvent:
    """An event with an id of its own."""
    return NewEvent(id=id or new_id(), type=type, schema_version=1, payload=payload, metadata=b"{}")


def to(stream: str, *events: NewEvent, expected: Expected = ANY, category: str | None = None) -> StreamAppend:
    """Events, one if none is given, for a stream; its category is what stands before the first dash."""
    return StreamAppend(stream, category or stream.partition("-")[0], expected, events or (event(),))


def an_append(*streams: StreamAppend, command: CommandRecord | None = None) -> Append:
    """An append with the id that belongs to it."""
    return Append(command.id if command else streams[0].events[0].id, streams, command)


def a_command(
    id: str = "command-1",
    *,
    digest: bytes | None = b"body",
    result: bytes = b'"done"',
    stream: str = "",
    version: int = 0,
) -> CommandRecord:
    """A record of a command."""
    return CommandRecord(id, digest, result, stream, version)


async def everything(store: Store, *, page_size: int = 100) -> Sequence[StoredEvent]:
    """The whole log, page by page."""
    events: list[StoredEvent] = []
    after, head = 0, await store.head()
    while after < head:
        page = await store.read(after, limit=page_size)
        events += page.events
        after = page.through
    return events


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    """Return when *condition* holds; fail when it has not in good time."""
    deadline = time.monotonic() + DEADLINE_S
    while not await condition():
        assert time.monotonic() < deadline, "it did not come to hold in time"
        await asyncio.sleep(0.001)
