"""Workers that are killed and stopped: taken over in time, and everything is applied once."""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

import pytest
from tests.faults.counting import Place, Process, until

from diptych.read.books.checkpoint import LEASE_S

TAKEN_OVER_S = LEASE_S + 1

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(params=["sqlite", "postgres"])
def place(request: pytest.FixtureRequest, tmp_path: Path, postgres: Callable[[int], str]) -> Place:
    """A log and a read database: in two files, or in one schema."""
    if request.param == "sqlite":
        return Place(f"sqlite:///{tmp_path / 'log.db'}", f"sqlite:///{tmp_path / 'read.db'}")
    url = postgres(18)
    return Place(url, url)


@pytest.fixture
def worker(place: Place, tmp_path: Path) -> Iterator[Callable[..., Process]]:
    """Start a worker; it ends with the test."""
    started: list[Process] = []

    def start(*, batch: int = 5_000, host: str = "") -> Process:
        started.append(Process(place, tmp_path / "errors.txt", batch=batch, host=host))
        return started[-1]

    yield start
    for each in started:
        each.end()


@pytest.mark.parametrize("batch", [1, 100])
async def test_a_worker_killed_at_random_instants_counts_and_sums_exactly(
    place: Place, worker: Callable[..., Process], batch: int, amount: Callable[..., int]
) -> None:
    random = Random(batch)
    async with place.open():
        one = worker(batch=batch)
        async with place.appending():
            for _ in range(amount(short=2, long=30)):
                before = await applied(place)
                await until(lambda before=before: moves(place, before), "nothing was applied")  # type: ignore[misc]
                await asyncio.sleep(random.uniform(0, 0.3))
                one.kill()
                one.start()
        one.kill()
        worker()  # the rest need not be done one by one
        await until(place.is_caught_up, "the lag did not return to 0", deadline_s=300)
        await place.check()


async def test_a_worker_that_is_killed_is_followed_within_a_lease_and_a_second(
    place: Place, worker: Callable[..., Process]
) -> None:
    async with place.open():
        owner = worker(host="one")
        await place.append("a", 1)
        await until(place.is_caught_up, "nothing was applied")
        other = worker(host="two")
        await until(lambda: is_spread(place), "the second worker got no part")

        began = time.monotonic()
        owner.kill()
        await place.append("a", 2)
        await until(lambda: owns_all(place, other), "nobody followed")
        took_s = time.monotonic() - began
        await until(place.is_caught_up, "what was appended meanwhile was not applied")
        await place.check()

    assert took_s <= TAKEN_OVER_S


async def test_an_owner_that_is_stopped_for_longer_than_its_lease_writes_nothing_when_it_goes_on(
    place: Place, worker: Callable[..., Process], amount: Callable[..., int]
) -> None:
    async with place.open():
        workers = [worker(host=host) for host in ("one", "two", "three")]
        await place.append("a", 1)
        await until(place.is_caught_up, "nothing was applied")
        for number in range(amount(short=1, long=5)):
            # On SQLite a worker that is stopped while it writes keeps the file to itself (6.2): stop an idle one.
            await until(place.is_caught_up, "the lag did not return to 0")
            stopped = await the_owner(place, workers)
            began = time.monotonic()
            stopped.freeze()
            await place.append("b", number)
            await until(lambda stopped=stopped: owns_none(place, stopped), "nobody followed")  # type: ignore[misc]
            assert time.monotonic() - began <= TAKEN_OVER_S
            async with place.appending():
                stopped.thaw()
                await asyncio.sleep(0.5)  # as long as it takes the old owner to try
        await until(place.is_caught_up, "the lag did not return to 0")
        await place.check()


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
async def test_an_owner_that_is_stopped_in_the_middle_of_its_work_is_followed_and_writes_nothing_more(
    place: Place, worker: Callable[..., Process], amount: Callable[..., int]
) -> None:
    """Its transaction may be open, with the share locked: the server ends it before the lease does."""
    random = Random(4)
    async with place.open():
        workers = [worker(batch=100, host=host) for host in ("one", "two", "three")]
        await place.append("a", 1)
        await until(place.is_caught_up, "nothing was applied")
        for _ in range(amount(short=2, long=12)):
            stopped = await the_owner(place, workers)
            async with place.appending():
                before = await applied(place)
                await until(lambda before=before: moves(place, before), "nothing was applied")  # type: ignore[misc]
                await asyncio.sleep(random.uniform(0, 0.1))
                began = time.monotonic()
                stopped.freeze()
                await until(lambda stopped=stopped: owns_none(place, stopped), "nobody followed")  # type: ignore[misc]
                took_s = time.monotonic() - began
                stopped.thaw()
                before = await applied(place)
                await until(lambda before=before: moves(place, before), "nobody went on")  # type: ignore[misc]
            assert took_s <= TAKEN_OVER_S
        await until(place.is_caught_up, "the lag did not return to 0", deadline_s=300)
        await place.check()


async def applied(place: Place) -> int:
    """How far both have come together."""
    return sum(status.checkpoint for status in await place.statuses())


async def moves(place: Place, before: int) -> bool:
    """Whether they have come further."""
    return await applied(place) > before


async def is_spread(place: Place) -> bool:
    """Whether each projection has an owner of its own."""
    owners = (await place.owners()).values()
    return None not in owners and len(set(owners)) == len(owners)


async def owns_all(place: Place, process: Process) -> bool:
    """Whether one worker owns both projections."""
    return all(process.is_owner(owner) for owner in (await place.owners()).values())


async def owns_none(place: Place, process: Process) -> bool:
    """Whether others own both."""
    owners = (await place.owners()).values()
    return all(owner is not None and not process.is_owner(owner) for owner in owners)


async def the_owner(place: Place, workers: list[Process]) -> Process:
    """A worker that owns one of the projections, once they are spread."""
    await until(lambda: is_spread(place), "they were not spread")
    owner = (await place.owners())["tallies"]
    return next(worker for worker in workers if worker.is_owner(owner))
