"""Rows that are looked up by their keys."""

import asyncio
from contextlib import suppress
from dataclasses import replace
from random import Random

from diptych.errors import NotServed
from diptych.log import EventStore
from diptych.read.ask.consistency import asking
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Plan
from diptych.read.db.database import ReadDatabase
from diptych.read.projections.statements import Statements
from diptych.read.projections.tables import create_tables
from diptych.testing.conformance.accounts import Account, Accounts, Opened, Paid, System
from diptych.testing.conformance.things import GENERATION, LOG, SHAPE, Count, Things, ThingsCase, thing


class Looking(ThingsCase):
    """One statement, one moment: pointer, checkpoint and row belong together."""

    async def test_a_look_up_finds_what_is_served_whatever_is_rebuilt(
        self, read_db: ReadDatabase, event_store: EventStore
    ) -> None:
        system = System(event_store, read_db, Accounts)
        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="o")))
            for payment in range(1, 4):
                assert await system.row("a") == Account("a", "o", payment - 1, payment - 1)
                await system.synchronizer.rebuild_projection("accounts")
                await system.reached("accounts", await system.append(Paid(account="a", amount=1)))

                assert await system.row("a") == Account("a", "o", payment, payment)

    async def test_a_look_up_follows_the_pointer(self, things: Things) -> None:
        await things.put(thing("a", name="of the first build"))
        assert await things.model.get("a") == thing("a", name="of the first build")

        async with things.read_db.begin() as connection:
            await create_tables(connection, SHAPE, "things_v1_2")
            await Statements(SHAPE, "things_v1_2").upsert(connection, [(thing("a", name="of the second"), 1)])
            await checkpoint.add(connection, GENERATION.next(), LOG, Plan("{}", ""))
            assert await checkpoint.switch(connection, GENERATION, GENERATION.next())

        assert await things.model.get("a") == thing("a", name="of the second")

    async def test_a_look_up_says_where_it_was_served(self, read_db: ReadDatabase, event_store: EventStore) -> None:
        system = System(event_store, read_db, Accounts)
        model = system.model(Accounts)
        with suppress(NotServed):
            await model.get("a")
        async with system.running():
            for amount in range(1, 6):
                position = await system.append(Opened(account="a", owner="o"), Paid(account="a", amount=amount))
                with asking(position, 30.0) as freshness:
                    row = await model.get("a")

                assert row is not None
                assert row.balance == amount
                assert [reached.position for reached, _ in freshness.served] == [position]
                assert freshness.worst() is not None

    async def test_many_look_ups_at_once_are_all_answered(self, things: Things) -> None:
        await things.put(thing("a"))
        await things.model.get("a")

        found = await asyncio.gather(*(things.model.get("a") for _ in range(200)))

        assert found == [thing("a")] * 200

    async def test_look_ups_cancelled_at_any_moment_leave_nothing_behind(self, things: Things) -> None:
        await things.put(thing("a"), thing("b", name="other"))
        await things.model.get("a")
        random = Random(3)
        for _ in range(60):
            looking = asyncio.create_task(things.model.get("b"))
            await asyncio.wait([looking], timeout=random.uniform(0, 0.002))
            looking.cancel()
            await asyncio.wait([looking])

            assert await things.model.get("a") == thing("a")

    async def test_a_look_up_sees_what_was_committed_before(self, things: Things) -> None:
        for n in range(20):
            await things.put(replace(thing("a"), count=Count(n)))

            assert (await things.model.get("a") or thing("")).count == n
