"""An owner that falls silent inside its batch: the server ends it before its lease does."""

import time
from collections.abc import Callable

import pytest
from sqlalchemy import text

from diptych import LogIdentity, Unavailable, open_read_db
from diptych.read import checkpoint, workers
from diptych.read.checkpoint import LEASE_S, Generation, Plan
from diptych.testing.conformance.case import until

OF = Generation("p", 1)
LOG = LogIdentity("log", 1)
VERSIONS = [18, 16, 15]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_batch_under_way_holds_nobody_up_and_is_ended_when_it_falls_silent(
    postgres: Callable[[int], str], version: int
) -> None:
    async with open_read_db(postgres(version)) as read_db:
        async with read_db.begin() as connection:
            await checkpoint.add(connection, OF, LOG, Plan("{}", ""))
            held = await checkpoint.claim(connection, OF, "one/1/silent")
            await connection.execute(text("UPDATE diptych_checkpoint SET lease_until = 1"))
        assert held is not None

        async def is_taken_over() -> bool:
            began = time.monotonic()
            async with read_db.begin() as connection:
                taken = await checkpoint.claim(connection, OF, "two/2/quick")
                await workers.beat(connection, "two/2/quick", ["p 1"])
            assert time.monotonic() - began < 1  # it waits for no lock
            return taken is not None

        async def falls_silent() -> None:
            async with read_db.begin() as silent:
                await checkpoint.fence(silent, held)
                assert not await is_taken_over()
                await until(is_taken_over)
                await checkpoint.advance(silent, held, 5, "e")

        began = time.monotonic()
        with pytest.raises(Unavailable):
            await falls_silent()

        assert time.monotonic() - began < LEASE_S
        async with read_db.snapshot() as connection:
            [found] = await checkpoint.all_of(connection)
        assert (found.owner, found.position) == ("two/2/quick", 0)


async def test_a_batch_that_lasts_is_ended_too_from_version_17_on(postgres: Callable[[int], str]) -> None:
    async with open_read_db(postgres(18)) as read_db:
        async with read_db.begin() as connection:
            await checkpoint.add(connection, OF, LOG, Plan("{}", ""))
            held = await checkpoint.claim(connection, OF, "one/1/slow")
        assert held is not None

        async def lasts(seconds: float, *, may: bool) -> None:
            async with read_db.begin() as connection:
                await checkpoint.fence(connection, held)
                if may:  # as for making an index
                    await checkpoint.take_time(connection)
                await connection.execute(text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})

        began = time.monotonic()
        with pytest.raises(Unavailable):
            await lasts(20, may=False)

        assert time.monotonic() - began < LEASE_S
        await lasts(4.5, may=True)
