"""A database that is away for a while: nobody is told what isn't so, and everything goes on by itself afterwards."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import apsw
import pytest
from tests.faults.counting import Place, until
from tests.faults.tallies import Lines, Tallies

from diptych import ReadModelSynchronizer, Unavailable

pytestmark = pytest.mark.timeout(300)
AGAIN_S = 10.0  # back-off is up to 5 s


@asynccontextmanager
async def following(place: Place) -> AsyncIterator[None]:
    """Keep both projections in step here."""
    synchronizer = ReadModelSynchronizer(place.event_store, place.read_db, [Tallies, Lines])
    task = asyncio.create_task(synchronizer.run())
    try:
        yield
    finally:
        synchronizer.stop()
        await task


@asynccontextmanager
async def locked(file: Path) -> AsyncIterator[None]:
    """Somebody else writes in a file, and comes to no end."""
    other = apsw.Connection(str(file))
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@asynccontextmanager
async def moved(file: Path) -> AsyncIterator[None]:
    """A file lies elsewhere for a while."""
    aside = file.with_suffix(".aside")
    file.rename(aside)
    try:
        yield
    finally:
        aside.rename(file)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A log and a read database in two files."""
    return Place(f"sqlite:///{tmp_path / 'log.db'}", f"sqlite:///{tmp_path / 'read.db'}")


@pytest.mark.parametrize("away", [locked, moved])
async def test_read_models_go_on_when_their_file_is_there_again(
    place: Place, tmp_path: Path, away: Callable[[Path], AbstractAsyncContextManager[None]], amount: Callable[..., int]
) -> None:
    async with place.open(), following(place):
        await place.append("a", 1)
        await until(place.is_caught_up, "nothing was applied")
        async with away(tmp_path / "read.db"):
            for number in range(amount(short=20, long=200)):
                await place.append("a", number)  # the log has nothing to do with it
                await asyncio.sleep(0.1)
        await until(place.is_caught_up, "the lag did not return to 0", deadline_s=AGAIN_S)
        await place.check()


async def test_read_models_answer_and_go_on_when_the_log_is_there_again(
    place: Place, tmp_path: Path, amount: Callable[..., int]
) -> None:
    async with place.open(), following(place):
        await place.append("a", 1)
        await until(place.is_caught_up, "nothing was applied")
        async with moved(tmp_path / "log.db"):
            with pytest.raises(Unavailable):
                await place.append("a", 2)
            for _ in range(amount(short=10, long=200)):
                async with place.read_db.acquire() as connection:
                    await connection.exec_driver_sql("SELECT * FROM tallies_v1")
                await asyncio.sleep(0.1)
        await place.append("a", 3)
        await until(place.is_caught_up, "the lag did not return to 0", deadline_s=AGAIN_S)
        await place.check()
