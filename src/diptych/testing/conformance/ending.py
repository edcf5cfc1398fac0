"""The end of a rebuild: it comes under steady writes, and only to whoever still owns what was built."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import RebuildCancelled, Unavailable
from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Checkpoint, FencedOut, Generation
from diptych.read.db.database import ReadDatabase
from diptych.read.projections import projector
from diptych.read.projections.shape import Shape
from diptych.read.projections.tables import Step, index_steps
from diptych.read.tend import rebuild
from diptych.read.tend.switch import switch
from diptych.testing.conformance.accounts import Accounts, Opened, Paid, System
from diptych.testing.conformance.case import until
from diptych.testing.conformance.read_case import ReadDatabaseCase
from diptych.testing.conformance.rebuilding import half_a_rebuild, let_the_owner_die, tables
from diptych.testing.conformance.splitting import PARTITIONS, SplitAccounts, come_to, fill, parts
from diptych.testing.conformance.switching import RicherAccounts


class Ending(ReadDatabaseCase):
    """A rebuild ends once, and what others decided meanwhile stays."""

    @pytest.mark.parametrize("kind", [Accounts, SplitAccounts])
    async def test_a_rebuild_ends_though_what_is_served_moves_before_every_try_to_switch(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch, kind: type
    ) -> None:
        async def after_it_moved(*args: Any, **kwargs: Any) -> bool:
            await system.reached("accounts", await system.append(Paid(account="1", amount=1)))
            return await switch(*args, **kwargs)

        async with followed(event_store, read_db, kind) as system:
            monkeypatch.setattr(rebuild, "switch", after_it_moved)
            await asyncio.wait_for(system.synchronizer.rebuild_projection("accounts"), 30)

            assert set(await system.served()) == {2}
            assert (await system.synchronizer.verify("accounts")).ok

    async def test_partitions_that_stand_at_one_event_in_both_are_switched(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        broken = SplitAccounts()
        broken.broken_at = 999
        async with followed(event_store, read_db, broken) as system:
            await system.synchronizer.rebuild_projection("accounts")
            last = await system.append(Paid(account="7", amount=999), Paid(account="8", amount=1))
            await until(lambda: stopped(read_db, 2))
            [partition] = {part.partition for part in await parts(read_db) if part.error}
            await until(lambda: come_to(read_db, last, without=[partition]))

            await system.synchronizer.switch_back("accounts", timeout_s=5)

            assert set(await system.served()) == {1}
            assert len(await parts(read_db)) == 2 * PARTITIONS

    async def test_a_rebuild_that_was_suspended_undoes_no_way_back(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with followed(event_store, read_db, Accounts) as system:
            gate = Gate(monkeypatch)
            suspended = asyncio.create_task(system.synchronizer.rebuild_projection("accounts"))
            await gate.reached.wait()
            await let_the_owner_die(read_db)
            await System(event_store, read_db, Accounts).synchronizer.rebuild_projection("accounts")
            assert await system.served() == [2]
            await system.synchronizer.switch_back("accounts")

            gate.opened.set()

            with pytest.raises(Unavailable, match="was ended by another worker"):
                await suspended
            assert await system.served() == [1]

    async def test_a_rebuild_that_is_cancelled_right_before_its_switch_says_so(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with followed(event_store, read_db, Accounts) as system:
            gate = Gate(monkeypatch)
            rebuilding = asyncio.create_task(system.synchronizer.rebuild_projection("accounts"))
            await gate.reached.wait()
            assert await system.synchronizer.cancel_rebuild("accounts")

            gate.opened.set()

            with pytest.raises(RebuildCancelled):
                await rebuilding
            assert await system.generations() == [(1, True)]
            assert "accounts_v1_2" not in await tables(read_db)

    async def test_a_rebuild_of_a_new_version_that_was_interrupted_is_given_up(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        async with followed(event_store, read_db, Accounts) as old:
            new = System(event_store, read_db, RicherAccounts)
            await half_a_rebuild(new, Generation("accounts", 2))
            assert not await old.synchronizer.cancel_rebuild("accounts")

            assert await new.synchronizer.cancel_rebuild("accounts")

            assert await new.generations() == []
            assert "accounts_v2" not in await tables(read_db)
            assert await old.generations() == [(1, True)]
            async with new.running():
                await new.reached("accounts", await event_store.head())
                assert not await new.synchronizer.cancel_rebuild("accounts")

    async def test_a_first_build_beside_nothing_is_no_rebuild(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await fill(system)
        await half_a_rebuild(system, Generation("accounts", 1))

        assert not await system.synchronizer.cancel_rebuild("accounts")

    async def test_a_rebuild_that_is_paused_while_it_makes_indexes_goes_on_when_it_is_resumed(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def pause(connection: AsyncConnection) -> None:
            await connection.execute(text("UPDATE diptych_checkpoint SET paused = 1"))

        async with followed(event_store, read_db, Accounts) as system:
            monkeypatch.setattr(projector, "index_steps", lambda *of: [pause, *index_steps(*of)])
            rebuilding = asyncio.create_task(system.synchronizer.rebuild_projection("accounts"))
            await until(lambda: system.is_in("paused"))
            await asyncio.wait([rebuilding], timeout=0.3)
            assert not rebuilding.done()

            await system.synchronizer.resume("accounts")

            await rebuilding
            assert await system.served() == [2]

    async def test_a_rebuild_waits_while_the_database_is_away_before_an_index(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        fence, away = checkpoint.fence, 0

        async def is_away(connection: AsyncConnection, held: Checkpoint) -> None:
            nonlocal away
            if away and held.of.generation == 2:
                away -= 1
                raise Unavailable("away")
            await fence(connection, held)

        def gone_before(shape: Shape, name: str) -> list[Step]:
            nonlocal away
            away = 2
            return index_steps(shape, name)

        async with followed(event_store, read_db, Accounts) as system:
            monkeypatch.setattr(projector, "index_steps", gone_before)
            monkeypatch.setattr(checkpoint, "fence", is_away)
            await system.synchronizer.rebuild_projection("accounts")

            assert away == 0
            assert await system.served() == [2]

    @pytest.mark.parametrize("lost", ["the switch", "its answer"])
    async def test_a_rebuild_waits_while_the_database_is_away_at_the_switch(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch, lost: str
    ) -> None:
        tries = 0

        async def fails_at_first(*args: Any, **kwargs: Any) -> bool:
            nonlocal tries
            tries += 1
            is_switched = await switch(*args, **kwargs) if tries > 2 or lost == "its answer" else False
            if tries <= 2:
                raise Unavailable("away")
            return is_switched

        async with followed(event_store, read_db, Accounts) as system:
            monkeypatch.setattr(rebuild, "switch", fails_at_first)
            assert await system.synchronizer.rebuild_projection("accounts") == Generation("accounts", 1, 2)

            assert tries == 3
            assert await system.served() == [2]
            await system.reached("accounts", await system.append(Paid(account="1", amount=1)))
            assert (await system.synchronizer.verify("accounts")).ok

    async def test_a_rebuild_says_so_where_yet_another_build_is_served_at_its_switch(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async with followed(event_store, read_db, Accounts) as system:
            await system.synchronizer.rebuild_projection("accounts")
            gate = Gate(monkeypatch)
            rebuilding = asyncio.create_task(system.synchronizer.rebuild_projection("accounts"))
            await gate.reached.wait()
            await system.synchronizer.switch_back("accounts")

            gate.opened.set()

            with pytest.raises(Unavailable, match="what projection 'accounts' serves was changed meanwhile"):
                await rebuilding
            assert await system.served() == [1]

    async def test_a_switch_that_was_made_already_is_made_and_one_from_what_is_not_served_is_none(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="1", owner="ann"))
        async with system.running():
            await system.reached("accounts", await event_store.head())
            await system.synchronizer.rebuild_projection("accounts")
        old, new, other = (Generation("accounts", 1, generation) for generation in (1, 2, 3))

        assert await switch(event_store, read_db, new, old, keep_s=60)
        assert await switch(event_store, read_db, new, old, keep_s=60)
        assert await system.served() == [1]
        with pytest.raises(FencedOut):
            await switch(event_store, read_db, new, other, keep_s=60)
        with pytest.raises(FencedOut):
            await switch(event_store, read_db, old, other, keep_s=60)

        assert await system.served() == [1]


class Gate:
    """What holds the first rebuild that comes to its switch, until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.reached: asyncio.Event = asyncio.Event()
        self.opened: asyncio.Event = asyncio.Event()
        monkeypatch.setattr(rebuild, "switch", self._switch)

    async def _switch(self, *args: Any, **kwargs: Any) -> bool:
        if not self.reached.is_set():
            self.reached.set()
            await self.opened.wait()
        return await switch(*args, **kwargs)


@asynccontextmanager
async def followed(event_store: EventStore, read_db: ReadDatabase, kind: Any) -> AsyncIterator[System]:
    """Some accounts, followed to the head of the log."""
    system = System(event_store, read_db, kind)
    await fill(system)
    async with system.running():
        await system.reached("accounts", await event_store.head())
        yield system


async def stopped(read_db: ReadDatabase, number: int) -> bool:
    """Whether so many parts stand still at an event."""
    return len([part for part in await parts(read_db) if part.error]) == number
