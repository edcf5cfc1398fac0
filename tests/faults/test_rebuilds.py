"""Rebuilds and switches under load, whoever is killed and whatever is held open: nobody who reads notices."""

import asyncio
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select
from tests.faults.tallies import Tallied, Tallies, Tally
from tests.faults.waiting import until
from tests.serving import ROOT, environment

from diptych import EventStore, ReadDatabase, ReadModelSynchronizer, open_read_db, open_store
from diptych.read.ask.view import Gate, ServedTable

WRITERS = 16
NAMES = 50


@dataclass(frozen=True)
class Sample:
    """What a reader saw at one moment."""

    position: int
    rows: int
    times: int
    total: int


@dataclass(frozen=True)
class Databases:
    log: str
    read: str


@pytest.fixture(params=["sqlite", "postgres"])
def databases(request: pytest.FixtureRequest, tmp_path: Path) -> Databases:
    if request.param == "sqlite":
        return Databases(f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/read.db")
    url: str = request.getfixturevalue("postgres")(18)
    return Databases(url, url)


class Shop:
    """A log with writers, a worker that follows it, and readers."""

    def __init__(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        self.event_store, self.read_db = event_store, read_db
        self.synchronizer = ReadModelSynchronizer(event_store, read_db, [Tallies])
        self.table = ServedTable(Tallies(), Gate(read_db, Tallies(), self.synchronizer.watcher))
        self.samples: list[Sample] = []
        self.longest_s = 0.0

    async def fill(self, events: int) -> None:
        """As many events as there were before anybody came."""
        for first in range(0, events, 500):
            tallied = [Tallied(name=f"n{n % NAMES}", number=n % 7) for n in range(first, min(first + 500, events))]
            await self.event_store.append_events(stream_id="Before", stream_type="Before", events=tallied)

    async def write(self, name: str) -> None:
        """Append for ever, and insist that each answer holds what was written before."""
        for number in range(1_000_000):
            appended = await self.event_store.append_events(
                stream_id=f"Own-{name}", stream_type="Own", events=[Tallied(name=name, number=number)]
            )
            reached = await self.synchronizer.wait_for("tallies", appended.position, timeout=60)
            assert not reached.stale, reached
            assert (await self.sample()).position >= appended.position

    async def read(self) -> None:
        """Look for ever; what was seen is kept, to be held against the log."""
        while True:
            began = time.perf_counter()
            self.samples.append(await self.sample())
            self.longest_s = max(self.longest_s, time.perf_counter() - began)
            await asyncio.sleep(0.001)

    async def sample(self) -> Sample:
        async with self.table.snapshot() as at:
            columns = at.table.c
            asked = select(func.count(), func.sum(columns.times), func.sum(columns.total))
            rows, times, total = (await at.conn.execute(asked)).one()
            return Sample(at.position, rows, int(times), int(total))

    async def check(self) -> None:
        """No reader saw an empty, half or older table: each sample is a fold of the log up to its position."""
        events = await self.event_store.read_all(limit=10_000_000)
        at, rows, total, samples = 0, set[str](), 0, sorted(self.samples, key=lambda each: each.position)
        for sample in samples:
            while at < len(events) and events[at].global_position <= sample.position:
                rows.add(events[at].data.name)
                total += events[at].data.number
                at += 1
            assert (sample.rows, sample.times, sample.total) == (len(rows), at, total), sample
        positions = [each.position for each in self.samples]
        assert positions == sorted(positions)

    async def rows(self) -> dict[str, Tally]:
        async with self.table.snapshot() as at:
            columns = at.table.c
            found = await at.conn.execute(select(columns.name, columns.times, columns.total))
            return {row[0]: Tally(*row) for row in found}

    async def folded(self) -> dict[str, Tally]:
        """The rows as the log folds to them, without any database."""
        rows: dict[str, Tally] = {}
        for event in await self.event_store.read_all(limit=10_000_000):
            row = Tallies().evolve(rows.get(event.data.name), event)
            assert row is not None
            rows[row.name] = row
        return rows


@asynccontextmanager
async def shop_with(databases: Databases, events: int) -> AsyncIterator[Shop]:
    """A shop whose worker has come to the end of what was there before, with a reader that looks all the time."""
    async with (
        open_store(databases.log, [Tallied]) as event_store,
        open_read_db(databases.read) as read_db,
        asyncio.TaskGroup() as group,
    ):
        shop = Shop(event_store, read_db)
        await shop.fill(events)
        group.create_task(shop.synchronizer.run())
        assert not (await shop.synchronizer.wait_for("tallies", await event_store.head(), timeout=120)).stale
        reading = group.create_task(shop.read())
        yield shop
        reading.cancel()
        shop.synchronizer.stop()


@asynccontextmanager
async def writers(shop: Shop) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        writing = [group.create_task(shop.write(f"w{number}")) for number in range(WRITERS)]
        yield
        for each in writing:
            each.cancel()


@contextmanager
def rebuilder(
    databases: Databases, output: Path, batch: int, hold: int | None = None
) -> Iterator[subprocess.Popen[bytes]]:
    with output.open("wb") as out:
        command = [sys.executable, "-m", "tests.faults.rebuilding", databases.log, databases.read, str(batch)]
        command += [] if hold is None else [str(hold)]
        process = subprocess.Popen(
            command, stdout=out, stderr=subprocess.STDOUT, cwd=ROOT, env=environment(PYTHONPATH=":".join(sys.path))
        )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def told(output: Path) -> list[tuple[str, int]]:
    """The stages and positions that a rebuild has told of."""
    lines = [line.split() for line in output.read_text().splitlines() if line.endswith(tuple("0123456789"))]
    return [(stage, int(position)) for stage, position in lines]


@pytest.mark.timeout(600)
async def test_a_rebuild_killed_three_times_under_load_equals_a_fold_and_nobody_notices(
    databases: Databases, tmp_path: Path, amount: Callable[..., int]
) -> None:
    events, batch = amount(short=4_000, long=100_000), amount(short=200, long=2_000)
    async with shop_with(databases, events) as shop, writers(shop):
        reached = 0
        for kill in range(3):
            output = tmp_path / f"rebuild-{kill}.txt"
            beyond = reached + batch
            with rebuilder(databases, output, batch, hold=beyond + 2 * batch) as process:
                await until(
                    lambda beyond=beyond, output=output: any(p >= beyond for _, p in told(output)),  # type: ignore[misc]
                    "the rebuild came to nothing",
                )
                process.kill()
                process.wait()
            assert "served" not in output.read_text()
            first, reached = told(output)[0][1], told(output)[-1][1]
            assert kill == 0 or first > 0  # it went on where the one before was killed
        output = tmp_path / "rebuild.txt"
        with rebuilder(databases, output, batch) as process:
            await until(lambda: process.poll() is not None, "the rebuild came to no end")
            assert process.returncode == 0, output.read_text()
        assert told(output)[0][1] >= reached - batch

        assert await generations(shop) == [(1, False), (2, True)]
        assert (await shop.synchronizer.verify("tallies")).ok
    await check_at_rest(databases, shop)


@pytest.mark.timeout(600)
async def test_switching_to_and_fro_under_load_never_takes_anything_back(
    databases: Databases, amount: Callable[..., int]
) -> None:
    async with shop_with(databases, 500) as shop, writers(shop):
        await shop.synchronizer.rebuild_projection("tallies")
        for _ in range(amount(short=4, long=40)):
            await shop.synchronizer.switch_back("tallies")
            seen = len(shop.samples)
            await until(lambda seen=seen: len(shop.samples) > seen + 3, "nobody reads")  # type: ignore[misc]
        assert (await shop.synchronizer.verify("tallies")).ok
    await check_at_rest(databases, shop)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("keep_s", [0.0, 60.0])
async def test_nobody_waits_for_a_reader_that_holds_what_was_served_before(
    databases: Databases, amount: Callable[..., int], keep_s: float
) -> None:
    async with shop_with(databases, 1_000) as shop, shop.table.snapshot() as held:
        before = (await held.conn.execute(select(func.sum(held.table.c.times)))).scalar_one()
        shop.longest_s = 0.0

        await asyncio.wait_for(shop.synchronizer.rebuild_projection("tallies", keep_s=keep_s), 30)

        assert [each for each in await generations(shop) if each[1]] == [(2, True)]
        deadline = time.monotonic() + amount(short=1, long=60)
        while time.monotonic() < deadline:
            await written(shop)
        assert shop.longest_s < 10.0  # nobody waited for it; how long a query takes is measured in `benchmarks`
        assert (await held.conn.execute(select(func.sum(held.table.c.times)))).scalar_one() == before == 1_000


async def written(shop: Shop) -> None:
    appended = await shop.event_store.append_events(
        stream_id="Own", stream_type="Own", events=[Tallied(name="late", number=1)]
    )
    assert not (await shop.synchronizer.wait_for("tallies", appended.position, timeout=60)).stale
    assert (await shop.sample()).position >= appended.position


async def generations(shop: Shop) -> list[tuple[int, bool]]:
    return [(each.generation, each.served) for each in await shop.synchronizer.status()]


async def check_at_rest(databases: Databases, shop: Shop) -> None:
    """When nobody writes any more, every sample was true, and every row is as the log folds to it."""
    async with open_store(databases.log, [Tallied]) as event_store, open_read_db(databases.read) as read_db:
        rest = Shop(event_store, read_db)
        rest.samples = shop.samples
        running = asyncio.create_task(rest.synchronizer.run())
        assert not (await rest.synchronizer.wait_for("tallies", await event_store.head(), timeout=120)).stale
        await rest.check()
        assert await rest.rows() == await rest.folded()
        rest.synchronizer.stop()
        await running
