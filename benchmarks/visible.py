"""
From a command to its effect in a read model: the runner beside a loop that polls every 100 ms.

Both wait until the row is there. The other side applies new events in the same process, as
guides show it: look, apply, sleep.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.compare import Result, compare
from diptych import (
    Aggregate,
    Command,
    CommandBus,
    Diptych,
    Event,
    Key,
    Query,
    QueryBus,
    ReadModel,
    RecordedEvent,
    Repository,
    TableProjection,
)
from diptych.app import Running

POLL_S = 0.1


class Noted(Event):
    """A small fact."""

    note_id: str


class Note(Aggregate[Noted]):
    """Something that is noted."""


class Write(Command[str]):
    """Note something."""


class NoteById(Query["NoteRow | None"]):
    """One note."""

    note_id: str


@dataclass(frozen=True)
class NoteRow:
    note_id: Key[str]


class Notes(TableProjection[NoteRow, Noted]):
    """A row a note."""

    def evolve(self, row: NoteRow | None, event: RecordedEvent[Noted]) -> NoteRow | None:
        return NoteRow(event.data.note_id)


commands, queries = CommandBus(), QueryBus()


@commands.handler
async def write(command: Write, notes: Repository[Note]) -> str:
    """Note it."""
    note = Note()
    note.record(Noted(note_id=note.id))
    await notes.save(note)
    return note.id


@queries.handler
async def note_by_id(query: NoteById, notes: ReadModel[NoteRow]) -> NoteRow | None:
    """Find it."""
    return await notes.get(query.note_id)


async def run(scale: float) -> list[Result]:
    """Milliseconds from the command to the answer that holds it, the median."""
    app = Diptych(commands, queries, projections=[Notes])
    with TemporaryDirectory() as folder:
        urls = f"sqlite:///{Path(folder)}/log.db", f"sqlite:///{Path(folder)}/read.db"
        async with app.open(*urls) as running, polling(running) as polled:

            async def ours() -> float:
                return median([await seen(running) for _ in range(int(200 * scale))])

            async def theirs() -> float:
                return median([await seen_by_poll(running, polled) for _ in range(int(20 * scale) or 1)])

            return [await compare("visible/in-process", ours, theirs, unit="ms")]


async def seen(running: Running) -> float:
    """Milliseconds until an answer holds what was written."""
    began = perf_counter()
    receipt = await running.execute(Write())
    answer = await running.ask(NoteById(note_id=receipt.result), after=receipt.token, timeout_s=10)
    if answer.data is None or answer.stale:
        raise RuntimeError("the answer was stale")
    return (perf_counter() - began) * 1e3


async def seen_by_poll(running: Running, polled: dict[str, asyncio.Event]) -> float:
    """Milliseconds until the polling loop has applied what was written."""
    began = perf_counter()
    receipt = await running.execute(Write())
    await polled.setdefault(receipt.result, asyncio.Event()).wait()
    return (perf_counter() - began) * 1e3


@asynccontextmanager
async def polling(running: Running) -> AsyncIterator[dict[str, asyncio.Event]]:
    """Events by the id of their note, set once the polling loop has applied them."""
    found: dict[str, asyncio.Event] = {}

    async def poll() -> None:
        position = await running.event_store.head()
        while True:
            for event in await running.event_store.read_all(position):
                found.setdefault(event.data.note_id, asyncio.Event()).set()
                position = event.global_position
            await asyncio.sleep(POLL_S)

    task = asyncio.create_task(poll())
    try:
        yield found
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
