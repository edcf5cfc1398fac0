"""One of the two databases is away while the other is there."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.clusters import Cluster
from tests.faults.counting import Place, until
from tests.faults.test_away import AGAIN_S, following

from diptych import Unavailable

pytestmark = pytest.mark.timeout(300)


async def test_read_models_go_on_when_their_server_is_there_again(
    cluster: Cluster, tmp_path: Path, amount: Callable[..., int]
) -> None:
    place = Place(f"sqlite:///{tmp_path / 'log.db'}", cluster.url())
    async with place.open(), following(place):
        await place.append("a", 1)
        await until(place.is_caught_up, "nothing was applied")
        cluster.stop()
        for number in range(amount(short=20, long=200)):
            await place.append("a", number)  # the log has nothing to do with it
            await asyncio.sleep(0.1)
        cluster.start()
        await until(lambda: caught_up(place), "the lag did not return to 0", deadline_s=AGAIN_S)
        await place.check()


async def test_read_models_answer_and_go_on_when_the_log_s_server_is_there_again(
    cluster: Cluster, tmp_path: Path, amount: Callable[..., int]
) -> None:
    place = Place(cluster.url(), f"sqlite:///{tmp_path / 'read.db'}")
    async with place.open(), following(place):
        await place.append("a", 1)
        await until(place.is_caught_up, "nothing was applied")
        cluster.stop()
        for _ in range(amount(short=10, long=200)):
            async with place.read_db.acquire() as connection:
                await connection.exec_driver_sql("SELECT * FROM tallies_v1")
            await asyncio.sleep(0.1)
        cluster.start()
        await until(lambda: appended(place), "nothing can be appended", deadline_s=AGAIN_S)
        await until(lambda: caught_up(place), "the lag did not return to 0", deadline_s=AGAIN_S)
        await place.check()


async def caught_up(place: Place) -> bool:
    """Whether all is applied, as far as that can be seen."""
    try:
        return await place.is_caught_up()
    except Unavailable:
        return False


async def appended(place: Place) -> bool:
    """Whether the log took an event."""
    try:
        await place.append("a", 2)
    except Unavailable:
        return False
    return True
