"""Who may write a projection: one owner at a time, and nobody who was overtaken."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Checkpoint, Failure, FencedOut, Generation, Plan
from diptych.read.db.database import ReadDatabase
from diptych.store.port import LogIdentity
from diptych.testing.conformance.read_case import ReadDatabaseCase

FIRST, SECOND = Generation("p", 1, 1), Generation("p", 1, 2)
LOG = LogIdentity("log", 1)
PLAN = Plan("{}", "")


class _Bookkept(ReadDatabaseCase):
    @pytest.fixture
    async def connection(self, read_db: ReadDatabase) -> AsyncIterator[AsyncConnection]:
        """A transaction in which the bookkeeping of a first generation has begun."""
        async with read_db.begin() as connection:
            assert await checkpoint.add(connection, FIRST, LOG, PLAN)
            yield connection


class Owning(_Bookkept):
    """Lease, epoch and fence."""

    async def test_a_generation_is_added_once(self, connection: AsyncConnection) -> None:
        assert not await checkpoint.add(connection, FIRST, LOG, PLAN)
        assert await checkpoint.add(connection, SECOND, LOG, PLAN)

    async def test_of_two_who_claim_one_owns(self, connection: AsyncConnection) -> None:
        owner, other = checkpoint.new_owner(), checkpoint.new_owner()

        held = await claimed(connection, owner)

        assert (held.owner, held.epoch) == (owner, 1)
        assert await checkpoint.claim(connection, FIRST, other) is None

    async def test_a_lease_that_ran_out_is_taken_over_and_the_former_owner_shut_out(
        self, connection: AsyncConnection
    ) -> None:
        slow = await claimed(connection, checkpoint.new_owner())
        await let_the_lease_run_out(connection)

        quick = await claimed(connection, checkpoint.new_owner())

        assert quick.epoch == slow.epoch + 1
        for write in (
            checkpoint.fence(connection, slow),
            checkpoint.advance(connection, slow, 5, "e"),
            checkpoint.fail(connection, slow, Failure("faulted", "a bug", 1)),
        ):
            with pytest.raises(FencedOut):
                await write
        await checkpoint.release(connection, slow)
        await checkpoint.fence(connection, quick)
        await checkpoint.advance(connection, quick, 5, "e")

    async def test_who_stands_elsewhere_than_the_checkpoint_can_not_write(self, connection: AsyncConnection) -> None:
        held = await claimed(connection, checkpoint.new_owner())
        await checkpoint.advance(connection, held, 5, "e")

        with pytest.raises(FencedOut):
            await checkpoint.fence(connection, held)
        with pytest.raises(FencedOut):
            await checkpoint.advance(connection, held, 6, "f")
        await checkpoint.fence(connection, replace(held, position=5))

    async def test_the_fence_extends_the_lease(self, connection: AsyncConnection) -> None:
        held = await claimed(connection, checkpoint.new_owner())
        await let_the_lease_run_out(connection)

        await checkpoint.fence(connection, held)

        assert await checkpoint.claim(connection, FIRST, checkpoint.new_owner()) is None

    async def test_an_owner_whose_process_ended_is_taken_over_at_once(self, connection: AsyncConnection) -> None:
        await claimed(connection, f"{checkpoint.here()}/999999999/gone")

        assert await checkpoint.claim(connection, FIRST, checkpoint.new_owner())

    async def test_an_owner_on_another_host_is_left_its_lease(self, connection: AsyncConnection) -> None:
        await claimed(connection, "elsewhere/999999999/there")

        assert await checkpoint.claim(connection, FIRST, checkpoint.new_owner()) is None

    async def test_partitions_are_owned_one_by_one(self, connection: AsyncConnection) -> None:
        owner, other = checkpoint.new_owner(), checkpoint.new_owner()
        assert await checkpoint.add(connection, FIRST, LOG, PLAN, partition=1)
        one = await claimed(connection, owner)

        two = await checkpoint.claim(connection, FIRST, other, partition=1)

        assert two is not None
        await checkpoint.fence(connection, two)
        await checkpoint.advance(connection, two, 7, "e")
        await checkpoint.fence(connection, one)
        assert [(each.partition, each.owner, each.position) for each in await checkpoint.all_of(connection)] == [
            (0, owner, 0),
            (1, other, 7),
        ]

    async def test_what_is_let_go_is_anybody_s(self, connection: AsyncConnection) -> None:
        held = await claimed(connection, checkpoint.new_owner())

        await checkpoint.release(connection, held)

        assert await checkpoint.claim(connection, FIRST, checkpoint.new_owner())


class Pointing(_Bookkept):
    """Which generation answers."""

    async def test_of_several_partitions_the_one_furthest_behind_answers(self, connection: AsyncConnection) -> None:
        await checkpoint.add(connection, FIRST, LOG, PLAN, partition=1)
        await checkpoint.serve_first(connection, FIRST)
        await checkpoint.advance(connection, await claimed(connection, checkpoint.new_owner()), 5, "e")

        found = await checkpoint.served(connection, "p", 1)

        assert found is not None
        assert (found.partition, found.position) == (1, 0)

    async def test_only_a_switch_from_what_is_served_moves_the_pointer(self, connection: AsyncConnection) -> None:
        await checkpoint.add(connection, SECOND, LOG, PLAN)
        await checkpoint.serve_first(connection, FIRST)
        await checkpoint.serve_first(connection, SECOND)
        assert await served(connection) == FIRST
        assert not await checkpoint.switch(connection, SECOND, FIRST)
        assert await checkpoint.switch(connection, FIRST, SECOND)
        assert not await checkpoint.switch(connection, FIRST, SECOND)
        assert await served(connection) == SECOND


async def claimed(connection: AsyncConnection, owner: str) -> Checkpoint:
    """The first generation, in the hands of an owner."""
    held = await checkpoint.claim(connection, FIRST, owner)
    assert held is not None
    return held


async def let_the_lease_run_out(connection: AsyncConnection) -> None:
    """As if its owner had been silent for long."""
    await connection.execute(text("UPDATE diptych_checkpoint SET lease_until = 1"))


async def served(connection: AsyncConnection) -> Generation | None:
    """What the pointer names."""
    found = await checkpoint.served(connection, "p", 1)
    return found.of if found else None
