"""Kill the server while it works: what it answered is there once, and it goes on by itself."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest
from tests.faults.checks import check_files
from tests.faults.shoppers import Shop
from tests.serving import Served


@pytest.mark.timeout(900)
async def test_a_server_killed_under_load_again_and_again_loses_and_doubles_nothing(
    serve: Callable[..., Served], tmp_path: Path, amount: Callable[..., int]
) -> None:
    server = await asyncio.to_thread(serve, "-m", "orders")
    random = Random(1)  # repeatable
    async with Shop(server.url).open(shoppers=6) as shop:
        for _ in range(amount(short=2, long=30)):
            await shop.more_accepted(random.randint(1, 200))
            server.kill()
            await asyncio.to_thread(server.start)
        await shop.more_accepted(100)

    assert server.terminate() == 0
    assert shop.refused
    assert shop.asked_again
    await check_files(tmp_path / "data", shop.streams)


async def test_a_server_told_to_stop_answers_what_is_in_flight_and_leaves_nothing_behind(
    serve: Callable[..., Served], tmp_path: Path, amount: Callable[..., int]
) -> None:
    server = await asyncio.to_thread(serve, "-m", "orders")
    random = Random(2)  # repeatable
    async with Shop(server.url).open(shoppers=20) as shop:
        for _ in range(amount(short=1, long=5)):
            await shop.more_accepted(random.randint(1, 200))
            assert await asyncio.to_thread(server.terminate) == 0
            assert not list((tmp_path / "data").glob("*-wal")), "a clean stop leaves no write-ahead log"
            await asyncio.to_thread(server.start)
        await shop.more_accepted(100)

    assert server.terminate() == 0
    await check_files(tmp_path / "data", shop.streams)
