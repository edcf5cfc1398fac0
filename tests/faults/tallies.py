"""
A small log that processes write and follow: `python -m tests.faults.tallies append|follow LOG READ NAME`.

`append` puts tallies into a stream of its own and into one that all share, and prints each
answer: name, number, position; `follow` keeps a row a name and a line an event. Both go on until they are killed.
"""

import asyncio
import itertools
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Integer, MetaData, Table, delete, func, insert, select

from diptych import (
    ANY,
    Event,
    EventStore,
    Key,
    Projection,
    ReadModelSynchronizer,
    RecordedEvent,
    TableProjection,
    ToStream,
    Transaction,
    open_read_db,
    open_store,
)
from diptych.read.ask.view import Gate, ServedTable, Views

LINES = Table("line", MetaData(), Column("position", Integer, primary_key=True), Column("number", Integer))


class Tallied(Event):
    name: str
    number: int


@dataclass(frozen=True)
class Tally:
    name: Key[str]
    times: int
    total: int


class Tallies(TableProjection[Tally, Tallied]):
    """A row a name."""

    def evolve(self, row: Tally | None, event: RecordedEvent[Tallied]) -> Tally | None:
        row = row or Tally(event.data.name, 0, 0)
        return replace(row, times=row.times + 1, total=row.total + event.data.number)


class Lines(Projection[Tallied]):
    """A line an event: applying one twice would break the key."""

    tables = (LINES,)

    async def apply(self, event: RecordedEvent[Tallied], tx: Transaction) -> None:
        line = {"position": event.global_position, "number": event.data.number}
        await tx.connection.execute(insert(tx.table("line")).values(line))

    async def clear(self, tx: Transaction) -> None:
        await tx.connection.execute(delete(tx.table("line")))


async def append(log: Path, name: str) -> None:
    """Append for ever from four tasks; print the answered positions with the appended number."""
    async with open_store(f"sqlite:///{log}", [Tallied]) as event_store, asyncio.TaskGroup() as group:
        for task in range(4):
            group.create_task(_append(event_store, f"{name}-{task}"))


async def _append(event_store: EventStore, name: str) -> None:
    for number in itertools.count(1):
        tallied = Tallied(name=name, number=number)
        own = ToStream(stream_id=f"Own-{name}", stream_type="Own", events=[tallied], expected_version=number - 1)
        shared = ToStream(stream_id="Shared", stream_type="Shared", events=[tallied, tallied], expected_version=ANY)
        appended = await event_store.append([own, shared])
        print(name, number, appended.position, flush=True)  # noqa: T201  # the answer


async def follow(log: Path, read: Path) -> None:
    """Keep the read models in step for ever."""
    async with open_store(f"sqlite:///{log}", [Tallied]) as event_store, open_read_db(f"sqlite:///{read}") as read_db:
        await ReadModelSynchronizer(event_store, read_db, [Tallies, Lines]).run()


async def caught_up(log: Path, read: Path) -> tuple[Sequence[RecordedEvent[Any]], dict[str, Tally], tuple[int, int]]:
    """Follow to the head; the log's events, the rows, and the number and sum of the lines."""
    async with open_store(f"sqlite:///{log}", [Tallied]) as event_store, open_read_db(f"sqlite:///{read}") as read_db:
        synchronizer = ReadModelSynchronizer(event_store, read_db, [Tallies, Lines])
        running = asyncio.create_task(synchronizer.run())
        head = await event_store.head()
        for name in ("tallies", "lines"):
            reached = await synchronizer.wait_for(name, head, timeout=400)
            assert not reached.stale, reached
        async with ServedTable(Tallies(), Gate(read_db, Tallies(), synchronizer.watcher)).snapshot() as at:
            columns = at.table.c
            found = await at.conn.execute(select(columns.name, columns.times, columns.total))
            rows = [Tally(*row) for row in found]
        async with Views[Lines](Lines(), Gate(read_db, Lines(), synchronizer.watcher)).snapshot() as view:
            line = view.table("line")
            number, total = (await view.connection.execute(select(func.count(), func.sum(line.c.number)))).one()
        synchronizer.stop()
        await running
        return await event_store.read_all(limit=10_000_000), {row.name: row for row in rows}, (number, total)


if __name__ == "__main__":
    what, *arguments = sys.argv[1:]
    asyncio.run(append(Path(arguments[0]), arguments[2]) if what == "append" else follow(*map(Path, arguments[:2])))
