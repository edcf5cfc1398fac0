"""
Workers that count and sum, in processes that are stopped and killed: `-m tests.faults.counting LOG READ BATCH HOST`.

Neither projection forgives an event that is applied twice or not at all. HOST is where
the worker believes to run: workers of several hosts can't tell whether the others live.
"""

import asyncio
import itertools
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import func, select
from tests.faults.tallies import Lines, Tallied, Tallies, Tally
from tests.faults.waiting import DEADLINE_S
from tests.serving import ROOT, environment

from diptych import EventStore, ReadDatabase, ReadModelSynchronizer, open_read_db, open_store
from diptych.read.ask.view import Gate, ServedTable, Views
from diptych.read.books import checkpoint
from diptych.read.follow import pace
from diptych.read.projections.projection import checked
from diptych.read.tend.status import ProjectionStatus, statuses

PROJECTIONS = {each.name: each for each in map(checked, (Tallies, Lines))}


@dataclass
class Place:
    """A log and a read database, and what is done with them from here."""

    log: str
    read: str
    event_store: EventStore = field(init=False)
    read_db: ReadDatabase = field(init=False)

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Place"]:
        """Both, open here; nothing is followed."""
        async with open_store(self.log, [Tallied]) as event_store, open_read_db(self.read) as read_db:
            self.event_store, self.read_db = event_store, read_db
            yield self

    @asynccontextmanager
    async def appending(self) -> AsyncIterator[None]:
        """Append without a pause, from several tasks, as long as the block runs."""
        writers = [asyncio.create_task(self._append_on(f"w{number}")) for number in range(3)]
        try:
            yield
        finally:
            for writer in writers:
                writer.cancel()
            await asyncio.wait(writers)

    async def append(self, name: str, number: int) -> int:
        """One event."""
        tallied = Tallied(name=name, number=number)
        appended = await self.event_store.append_events(stream_id=name, stream_type="S", events=[tallied])
        return appended.position

    async def statuses(self) -> Sequence[ProjectionStatus]:
        """How both projections are doing."""
        return await statuses(self.read_db, PROJECTIONS, self.event_store)

    async def owners(self) -> dict[str, str | None]:
        """Who owns each projection."""
        return {status.name: status.owner for status in await self.statuses()}

    async def is_caught_up(self) -> bool:
        """Whether both have applied all that the log holds, and are served."""
        every = await self.statuses()
        return len(every) == len(PROJECTIONS) and all(each.served and not each.lag_events for each in every)

    async def check(self) -> None:
        """The rows and the lines are what a fold over the log makes of it, one event at a time."""
        times, totals = Counter[str](), Counter[str]()
        for event in await self.event_store.read_all(limit=10_000_000):
            times[event.data.name] += 1
            totals[event.data.name] += event.data.number
        watcher = ReadModelSynchronizer(self.event_store, self.read_db, [Tallies, Lines]).watcher
        async with ServedTable(Tallies(), Gate(self.read_db, Tallies(), watcher)).snapshot() as at:
            columns = at.table.c
            rows = [Tally(*row) for row in await at.conn.execute(select(columns.name, columns.times, columns.total))]
        async with Views[Lines](Lines(), Gate(self.read_db, Lines(), watcher)).snapshot() as view:
            line = view.table("line")
            lines = (await view.connection.execute(select(func.count(), func.sum(line.c.number)))).one()
        assert {row.name: (row.times, row.total) for row in rows} == {
            name: (times[name], totals[name]) for name in times
        }
        assert tuple(lines) == (times.total(), totals.total())

    async def _append_on(self, name: str) -> None:
        for number in itertools.count(1):
            await self.append(name, number)
            await asyncio.sleep(0.01)  # a worker that takes them one by one is to keep up


class Process:
    """A worker in a process of its own."""

    def __init__(self, place: Place, output: Path, *, batch: int = 5_000, host: str = "") -> None:
        self._command = [sys.executable, "-m", "tests.faults.counting", place.log, place.read, str(batch), host]
        self._output, self.host = output, host
        self.start()

    def start(self) -> None:
        """Start it, anew too."""
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(
                self._command, stderr=output, cwd=ROOT, env=environment(PYTHONPATH=":".join(sys.path))
            )

    def kill(self) -> None:
        """End it as kill -9 does."""
        assert self._process.poll() is None, self._output.read_text(encoding="utf-8")
        self.end()

    def end(self) -> None:
        """End it, whatever it does."""
        self._process.kill()
        self._process.wait()

    def freeze(self) -> None:
        """Stop it where it is."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    def is_owner(self, owner: str | None) -> bool:
        """Whether a worker is this one."""
        return owner is not None and owner.split("/")[1] == str(self._process.pid)


async def until(condition: Callable[[], Awaitable[bool]], otherwise: str, *, deadline_s: float = DEADLINE_S) -> None:
    """Look again and again until *condition* holds; fail with *otherwise* when it never does."""
    deadline = time.monotonic() + deadline_s
    while not await condition():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.02)


async def work(log: str, read: str, batch: int, host: str) -> None:
    """Keep both projections in step for ever."""
    pace.BATCH_EVENTS = batch
    if host:
        checkpoint.here = lambda: host  # type: ignore[assignment]
    async with open_store(log, [Tallied]) as event_store, open_read_db(read) as read_db:
        await ReadModelSynchronizer(event_store, read_db, [Tallies, Lines]).run()


if __name__ == "__main__":
    log_url, read_url, batch_events, where = sys.argv[1:]
    asyncio.run(work(log_url, read_url, int(batch_events), where))
