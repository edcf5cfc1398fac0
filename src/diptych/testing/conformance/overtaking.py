"""Two workers at one projection, step by step."""

from contextlib import suppress
from math import inf

import pytest
from sqlalchemy import select

from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import FencedOut, Generation
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.follower import Follower
from diptych.read.follow.generations import prepare
from diptych.store.port import Page
from diptych.testing.conformance.accounts import Account, Accounts, Opened, Paid, System
from diptych.testing.conformance.owning import let_the_lease_run_out
from diptych.testing.conformance.read_case import ReadDatabaseCase


class Overtaking(ReadDatabaseCase):
    """Whoever comes late writes nothing."""

    @pytest.fixture
    async def system(self, event_store: EventStore, read_db: ReadDatabase) -> System:
        """A log with two payments, and the bookkeeping of who follows it."""
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="a", owner="ann"), Paid(account="a", amount=1), Paid(account="a", amount=2))
        await prepare(event_store, read_db, system.projections[0])
        return system

    async def test_who_read_a_batch_before_being_overtaken_writes_nothing(self, system: System) -> None:
        slow, quick = await a_worker(system), worker(system)
        its_batch = await batch(slow)
        async with system.read_db.begin() as connection:
            await let_the_lease_run_out(connection)
        assert await quick.claim(checkpoint.new_owner())

        with pytest.raises(FencedOut):
            await slow.apply(its_batch)
        await quick.apply(await batch(quick))
        with pytest.raises(FencedOut):
            await slow.apply(its_batch)

        assert await system.row("a") == Account("a", "ann", 3, 2)

    async def test_who_comes_second_with_the_same_batch_writes_nothing(self, system: System) -> None:
        follower = await a_worker(system)
        its_batch, before = await batch(follower), follower.held

        await follower.apply(its_batch)
        follower.held = before
        with pytest.raises(FencedOut):
            await follower.apply(its_batch)

        assert await system.row("a") == Account("a", "ann", 3, 2)

    async def test_a_batch_that_is_left_half_way_is_done_anew(self, system: System) -> None:
        follower = await a_worker(system)
        its_batch = await batch(follower)
        with suppress(KeyboardInterrupt):
            async with system.read_db.begin() as connection:
                assert follower.held is not None
                await checkpoint.fence(connection, follower.held)
                await follower.projector.apply(
                    connection, [system.event_store.decode(each) for each in its_batch.events], inf
                )
                raise KeyboardInterrupt

        await follower.apply(its_batch)

        assert await system.row("a") == Account("a", "ann", 3, 2)

    async def test_a_snapshot_answers_from_what_was_served_when_it_began(self, system: System) -> None:
        follower = await a_worker(system)
        await follower.apply(await batch(follower))
        head = await system.event_store.head()
        async with system.model(Accounts).snapshot() as view:
            await system.append(Paid(account="a", amount=4))
            await follower.release()
            await system.synchronizer.rebuild_projection("accounts")
            balances = (await view.conn.execute(select(view.table.c.balance))).scalars().all()

        assert (balances, view.position) == ([3], head)
        assert (await system.row("a")).balance == 7


def worker(system: System) -> Follower:
    """One that follows for a system."""
    return Follower(
        system.event_store,
        system.read_db,
        system.projections[0],
        Generation("accounts", 1),
        system.synchronizer.watcher,
        publish=True,
    )


async def a_worker(system: System) -> Follower:
    """One that owns the projection."""
    follower = worker(system)
    assert await follower.claim(checkpoint.new_owner())
    return follower


async def batch(follower: Follower) -> Page:
    """What a follower has to apply."""
    page = await follower.read(100)
    assert page is not None
    return page
