"""Numbers that names are told with, and a projection that keeps them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest
from sqlalchemy import MetaData, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych import (
    Event,
    EventStore,
    Key,
    Park,
    ReadDatabase,
    ReadModelSynchronizer,
    RecordedEvent,
    Stop,
    TableProjection,
)
from diptych.read.tend.status import ProjectionStatus
from diptych.testing.conformance.case import until


class Told(Event):
    names: tuple[str, ...]
    number: int


@dataclass(frozen=True, kw_only=True)
class Row:
    name: Key[str]
    seen: str = ""


class Names(TableProjection[Row, Told]):
    """The numbers that each name was told with, in their order; some numbers are poison."""

    name = "names"
    on_failure: ClassVar[Stop | Park] = Park(tries=1)
    poison: ClassVar[frozenset[int]] = frozenset()
    why: ClassVar[str] = "poison"

    def keys(self, event: RecordedEvent[Told]) -> tuple[str, ...]:
        return event.data.names

    def evolve(self, row: Row | None, event: RecordedEvent[Told]) -> Row | None:
        if event.data.number in self.poison:
            raise ValueError(self.why)
        return replace(row, seen=row.seen + str(event.data.number)) if row else None

    def initial(self, key: str) -> Row:
        return Row(name=key)


class Halves(Names):
    name = "halves"
    partitions = 2

    def keys(self, event: RecordedEvent[Told]) -> tuple[str, ...]:
        return event.data.names[:1]


async def tell(event_store: EventStore, number: int, *names: str) -> int:
    told = Told(names=names or ("ann",), number=number)
    return (await event_store.append_events(stream_id="s", stream_type="S", events=[told])).position


@asynccontextmanager
async def following(event_store: EventStore, read_db: ReadDatabase) -> AsyncIterator[ReadModelSynchronizer]:
    synchronizer = ReadModelSynchronizer(event_store, read_db, [Names])
    running = asyncio.create_task(synchronizer.run())
    try:
        yield synchronizer
    finally:
        synchronizer.stop()
        await running


async def until_it_is(synchronizer: ReadModelSynchronizer, so: Callable[[ProjectionStatus], bool]) -> ProjectionStatus:
    found: list[ProjectionStatus] = []

    async def is_so() -> bool:
        found[:] = await synchronizer.status()
        return len(found) == 1 and so(found[0])

    await until(is_so)
    return found[0]


async def rows(read_db: ReadDatabase, projection: type[Names]) -> dict[str, str]:
    table = projection().shape().table(f"{projection.name}_v1", MetaData())
    async with read_db.acquire() as connection:
        return dict(iter(await connection.execute(select(table.c.name, table.c.seen))))


def lose_a_commit(monkeypatch: pytest.MonkeyPatch, meanwhile: Callable[[], Awaitable[object]] | None = None) -> None:
    """Let the next commit be undone, as where the connection breaks under it."""
    commit = AsyncConnection.commit

    async def lost(connection: AsyncConnection) -> None:
        monkeypatch.setattr(AsyncConnection, "commit", commit)
        await connection.rollback()
        if meanwhile is not None:
            await meanwhile()
        raise OperationalError("COMMIT", {}, Exception("the connection was lost"))

    monkeypatch.setattr(AsyncConnection, "commit", lost)
