"""Leaving: what old code left is dropped once nobody runs it, and nothing else is."""

from contextlib import nullcontext

import pytest
from sqlalchemy import text

from diptych.errors import BadDatabase, Misuse, NotFound, Unavailable
from diptych.log import EventStore
from diptych.read.books import checkpoint, workers
from diptych.read.books.checkpoint import Generation
from diptych.read.db.database import ReadDatabase
from diptych.read.tend import leftovers
from diptych.read.tend.leftovers import left_behind
from diptych.testing.conformance.accounts import Accounts, Opened, Owners, System
from diptych.testing.conformance.reacting import Receipts
from diptych.testing.conformance.read_case import ReadDatabaseCase
from diptych.testing.conformance.rebuilding import half_a_rebuild, let_the_owner_die, tables
from diptych.testing.conformance.splitting import SplitAccounts
from diptych.testing.conformance.switching import RicherAccounts

ELSEWHERE = "elsewhere/1/x"


class Leaving(ReadDatabaseCase):
    """A version goes as a whole, and only where no code runs it."""

    async def test_a_version_that_no_code_runs_any_more_is_dropped_with_all_its_builds(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        old, new = System(event_store, read_db, Accounts), System(event_store, read_db, RicherAccounts)
        await old.append(*(Opened(account=str(n), owner="ann") for n in range(20)))
        async with old.running():
            await old.reached("accounts", await event_store.head())
            await old.synchronizer.rebuild_projection("accounts")
        async with new.running():
            await new.reached("accounts", await event_store.head())
            assert await left_behind(read_db, new.projections) == [Generation("accounts", 1, 2)]
            assert await left_behind(read_db, old.projections) == []

            await new.synchronizer.drop_version("accounts", 1, by="ann")

            assert await old.generations() == []
            assert not [table for table in await tables(read_db) if table.startswith("accounts_v1")]
            assert await new.served() == [1]
            assert await left_behind(read_db, new.projections) == []
        (act,) = await new.synchronizer.acts()
        assert (act.projection, act.version, act.act, act.by) == ("accounts", 1, "drop", "ann")
        back = System(event_store, read_db, Accounts)
        async with back.running():  # its code comes back, and builds it anew
            await back.reached("accounts", await event_store.head())
            assert (await back.synchronizer.verify("accounts")).ok

    async def test_so_is_what_the_code_knows_nothing_of(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        split = System(event_store, read_db, SplitAccounts)
        await split.append(*(Opened(account=str(n), owner="ann") for n in range(20)))
        async with split.running():
            await split.reached(split.projections[0].name, await event_store.head())

        of = split.projections[0]
        await System(event_store, read_db, Owners).synchronizer.drop_version(of.name, of.version)

        assert await split.generations() == []

    async def test_a_version_that_a_worker_runs_stays(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        old, new = System(event_store, read_db, Accounts), System(event_store, read_db, RicherAccounts)
        await old.append(Opened(account="1", owner="ann"))
        async with old.running():
            await old.reached("accounts", await event_store.head())

            with pytest.raises(Unavailable, match="version 1 of projection 'accounts' is run by worker .*: stop it"):
                await new.synchronizer.drop_version("accounts", 1)

            assert (await old.row("1")).owner == "ann"

    async def test_so_does_one_whose_worker_was_silent_for_less_than_a_minute(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        old, new = System(event_store, read_db, Accounts), System(event_store, read_db, RicherAccounts)
        await old.append(Opened(account="1", owner="ann"))
        async with old.running():
            await old.reached("accounts", await event_store.head())
        await silent_for(read_db, ELSEWHERE, 50)

        with pytest.raises(Unavailable, match="is run by worker elsewhere/1/x: stop it first, and wait a minute"):
            await new.synchronizer.drop_version("accounts", 1)
        assert await left_behind(read_db, new.projections) == []
        assert (await old.row("1")).owner == "ann"

        await silent_for(read_db, ELSEWHERE, 70)
        await new.synchronizer.drop_version("accounts", 1)
        assert await old.generations() == []

    async def test_tables_go_when_nobody_reads_them_any_more(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        old, new = System(event_store, read_db, Accounts), System(event_store, read_db, RicherAccounts)
        await old.append(Opened(account="1", owner="ann"))
        async with old.running():
            await old.reached("accounts", await event_store.head())
        monkeypatch.setattr(leftovers, "SNAPSHOTS_S", 0.1)
        owners = text("SELECT owner FROM accounts_v1")

        async with read_db.snapshot() as reader:
            assert (await reader.execute(owners)).scalars().all() == ["ann"]
            if reader.dialect.name == "postgresql":  # SQLite's snapshots keep what is dropped
                with pytest.raises(Unavailable, match="is served no more, and still read: drop it again"):
                    await new.synchronizer.drop_version("accounts", 1)
            else:
                await new.synchronizer.drop_version("accounts", 1)
            assert (await reader.execute(owners)).scalars().all() == ["ann"]
        if await old.generations():
            await new.synchronizer.drop_version("accounts", 1)

        assert "accounts_v1" not in await tables(read_db)

    async def test_a_view_on_its_tables_is_told_of(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        old, new = System(event_store, read_db, Accounts), System(event_store, read_db, RicherAccounts)
        await old.append(Opened(account="1", owner="ann"))
        async with old.running():
            await old.reached("accounts", await event_store.head())
        async with read_db.begin() as connection:
            holds = connection.dialect.name == "postgresql"  # SQLite lets views without a table be
            await connection.execute(text("CREATE VIEW mine AS SELECT * FROM accounts_v1"))

        told = "other objects depend on it. Drop what was made on its tables"
        with pytest.raises(BadDatabase, match=told) if holds else nullcontext():
            await new.synchronizer.drop_version("accounts", 1)

        async with read_db.begin() as connection:
            await connection.execute(text("DROP VIEW mine"))
        if holds:
            await new.synchronizer.drop_version("accounts", 1)
        assert await old.generations() == []

    async def test_a_reaction_stays(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        reacting = System(event_store, read_db, Receipts())
        await reacting.synchronizer.deploy()
        name = reacting.projections[0].name

        with pytest.raises(Misuse, match="is a reaction: it keeps no tables"):
            await System(event_store, read_db, Accounts).synchronizer.drop_version(name, 1)

        assert [generation for generation, _ in await reacting.generations()] == [1]

    async def test_so_does_one_that_is_being_built(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        old, new = System(event_store, read_db, Accounts), System(event_store, read_db, RicherAccounts)
        await old.append(*(Opened(account=str(n), owner="ann") for n in range(20)))
        await half_a_rebuild(old, Generation("accounts", 1))

        with pytest.raises(Unavailable, match="version 1 of projection 'accounts' is run by worker"):
            await new.synchronizer.drop_version("accounts", 1)
        assert await left_behind(read_db, new.projections) == []
        assert await old.generations() == [(1, False)]

        await let_the_owner_die(read_db)
        await new.synchronizer.drop_version("accounts", 1)
        assert await old.generations() == []

    async def test_what_the_code_itself_runs_and_what_is_not_there_is_refused(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="1", owner="ann"))
        async with system.running():
            await system.reached("accounts", await event_store.head())

        with pytest.raises(Misuse, match="version 1 of projection 'accounts' is what this code runs"):
            await system.synchronizer.drop_version("accounts", 1)
        with pytest.raises(NotFound, match="'accounts' has no version 7 here: there is version 1"):
            await system.synchronizer.drop_version("accounts", 7)
        with pytest.raises(NotFound, match="'other' has no version 1 here: nothing is kept of it at all"):
            await system.synchronizer.drop_version("other", 1)
        assert (await system.row("1")).owner == "ann"


async def silent_for(read_db: ReadDatabase, worker: str, seconds: int) -> None:
    """As if a worker that runs the first version of accounts had last been there so long ago."""
    async with read_db.begin() as connection:
        await workers.beat(connection, worker, ["accounts 1"])
        back = {"worker": worker, "until": await checkpoint.now(connection) - seconds * 1_000_000}
        await connection.execute(text("UPDATE diptych_worker SET alive_until = :until WHERE worker = :worker"), back)
