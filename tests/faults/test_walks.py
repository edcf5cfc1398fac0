"""A long walk by cursor while a great deal is written: nothing that stays is missed, and nothing comes twice."""

from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from diptych.read.db.database import open_read_db
from diptych.testing.conformance.things import things_in
from diptych.testing.conformance.walking import Walk


@pytest.fixture(params=["sqlite", "postgresql"])
def read_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/read.db"
    url: str = request.getfixturevalue("postgres")(18)
    return url


@pytest.mark.timeout(300)
async def test_a_walk_of_many_rows_under_many_writes_is_exact(read_url: str, amount: Callable[..., int]) -> None:
    async with open_read_db(read_url) as read_db:
        walk = Walk(await things_in(read_db), Random(1), rows=amount(short=3_000, long=20_000))
        await walk.begin()

        walked = [row.id for row in await walk.to_the_end(order_by=None, page_size=100, writes=10)]

    stayed = walk.stayed()
    assert [id for id in walked if id in stayed] == sorted(stayed, key=int, reverse=True)
    assert len(set(walked)) == len(walked)


@pytest.mark.timeout(300)
async def test_a_walk_in_a_changing_order_is_exact_for_what_stays(read_url: str, amount: Callable[..., int]) -> None:
    async with open_read_db(read_url) as read_db:
        walk = Walk(await things_in(read_db), Random(2), rows=amount(short=3_000, long=20_000))
        await walk.begin()

        walked = [row.id for row in await walk.to_the_end(order_by="-amount", page_size=100, writes=10)]

    unchanged = walk.unchanged()
    assert sorted(id for id in walked if id in unchanged) == sorted(unchanged)
