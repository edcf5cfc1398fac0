"""The memory store is meaner than the others."""

import asyncio

from diptych.store import open_store_backend
from diptych.testing.conformance.case import an_append, everything, to


async def test_positions_have_holes() -> None:
    async with open_store_backend("memory://") as store:
        for number in range(9):
            await store.append(an_append(to(f"Order-{number}")))

        positions = [event.position for event in await everything(store)]

    assert set(range(1, positions[-1])) - set(positions)


async def test_others_come_in_between_reading_and_writing() -> None:
    async with open_store_backend("memory://") as store:
        appending = asyncio.create_task(store.append(an_append(to("Order-1"))))
        turns = 0
        while not appending.done():
            await asyncio.sleep(0)
            turns += 1

    assert turns > 2
