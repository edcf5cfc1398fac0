"""What was built by other code, of other columns, or from another log."""

import asyncio
from dataclasses import dataclass
from typing import ClassVar

import pytest

from diptych.errors import BadProjection, Unavailable
from diptych.event import RecordedEvent
from diptych.log import EventStore, open_store
from diptych.read.books.checkpoint import Generation
from diptych.read.db.database import ReadDatabase
from diptych.read.projections.columns import Key, Searched
from diptych.read.projections.projection import TableProjection
from diptych.testing.conformance.accounts import EVENTS, AccountEvent, Accounts, Opened, System
from diptych.testing.conformance.case import until
from diptych.testing.conformance.read_case import ReadDatabaseCase
from diptych.testing.conformance.rebuilding import (
    FOLDED,
    CountingAccounts,
    half_a_rebuild,
    let_the_owner_die,
    tables,
)


@dataclass(frozen=True)
class Named:
    """An account that keeps other columns."""

    account: Key[str]
    name: str = ""


@dataclass(frozen=True)
class Rounded:
    """One whose balance is another number."""

    account: Key[str]
    owner: str
    balance: float = 0.0
    payments: int = 0


@dataclass(frozen=True)
class Found:
    """One whose owner is searched."""

    account: Key[str]
    owner: Searched[str]
    balance: int = 0
    payments: int = 0


class OtherColumns(TableProjection[Named, AccountEvent]):
    """Accounts with other columns."""

    name: ClassVar[str] = "accounts"

    def evolve(self, row: Named | None, event: RecordedEvent[AccountEvent]) -> Named | None:
        return row


class OtherType(TableProjection[Rounded, AccountEvent]):
    """Accounts with a column of another type."""

    name: ClassVar[str] = "accounts"

    def evolve(self, row: Rounded | None, event: RecordedEvent[AccountEvent]) -> Rounded | None:
        return row


class OtherSearch(TableProjection[Found, AccountEvent]):
    """Accounts that are searched."""

    name: ClassVar[str] = "accounts"

    def evolve(self, row: Found | None, event: RecordedEvent[AccountEvent]) -> Found | None:
        return row


class Changing(ReadDatabaseCase):
    """It is never gone on with as if nothing had changed."""

    async def test_what_other_code_half_built_is_not_gone_on_with(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(*(Opened(account=str(n), owner="ann") for n in range(10)))
        async with system.running():
            await system.reached("accounts", await event_store.head())
        await half_a_rebuild(system, Generation("accounts", 1, 2))
        changed = System(event_store, read_db, CountingAccounts)
        with pytest.raises(Unavailable, match="being built by another worker"):
            await changed.synchronizer.rebuild_projection("accounts")

        await let_the_owner_die(read_db)
        FOLDED.events = 0
        await changed.synchronizer.rebuild_projection("accounts")

        assert FOLDED.events == 10
        assert await changed.served() == [3]
        assert "accounts_v1_2" not in await tables(read_db)

    async def test_a_first_build_of_other_code_begins_anew(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        last = await system.append(*(Opened(account=str(n), owner="ann") for n in range(10)))
        await half_a_rebuild(system, Generation("accounts", 1, 1))
        await let_the_owner_die(read_db)
        changed = System(event_store, read_db, CountingAccounts)

        FOLDED.events = 0
        async with changed.running():
            await changed.reached("accounts", last)

        assert FOLDED.events == 10
        assert await changed.served() == [2]

    @pytest.mark.parametrize("generation", [1, 2])
    async def test_what_was_half_built_from_another_log_is_not_gone_on_with(
        self, read_db: ReadDatabase, generation: int
    ) -> None:
        half = Generation("accounts", 1, generation)
        async with open_store("memory://", EVENTS) as first:
            system = System(first, read_db, Accounts)
            last = await system.append(*(Opened(account=str(n), owner="ann") for n in range(20)))
            if generation > 1:
                async with system.running():
                    await system.reached("accounts", last)
            await half_a_rebuild(system, half)
        await let_the_owner_die(read_db)

        async with open_store("memory://", EVENTS) as other:
            system = System(other, read_db, Accounts)
            last = await system.append(Opened(account="b", owner="bea"))
            async with system.running(), asyncio.timeout(30):
                if generation > 1:
                    await system.synchronizer.rebuild_projection("accounts")
                await system.reached("accounts", last)

            assert [row.account for row in (await system.model(Accounts).page()).items] == ["b"]

    async def test_what_was_built_from_another_log_is_mended_by_a_rebuild(self, read_db: ReadDatabase) -> None:
        async with open_store("memory://", EVENTS) as first:
            system = System(first, read_db, Accounts)
            last = await system.append(*(Opened(account=str(n), owner="ann") for n in range(20)))
            async with system.running():
                await system.reached("accounts", last)

        async with open_store("memory://", EVENTS) as other:
            system = System(other, read_db, Accounts)
            last = await system.append(Opened(account="b", owner="bea"))
            async with system.running():
                await until(lambda: system.is_in("rewound"))
                assert (await system.synchronizer.wait_for("accounts", last, timeout=10)).reason == "another log"
                async with asyncio.timeout(30):
                    await system.synchronizer.rebuild_projection("accounts")
                await system.reached("accounts", last)

            assert [row.account for row in (await system.model(Accounts).page()).items] == ["b"]

    async def test_a_row_that_keeps_something_else_needs_another_version(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))

        for projection in (OtherColumns, OtherType, OtherSearch):
            with pytest.raises(BadProjection, match="Raise its version, version = 2"):
                await System(event_store, read_db, projection).synchronizer.check()
        await System(event_store, read_db, CountingAccounts).synchronizer.check()

    async def test_a_row_that_keeps_something_else_is_not_rebuilt_under_the_version_that_is_served(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))
            before = await tables(read_db)

            for projection in (OtherColumns, OtherType, OtherSearch):
                with pytest.raises(BadProjection, match="Raise its version, version = 2"):
                    await System(event_store, read_db, projection).synchronizer.rebuild_projection("accounts")

            assert await tables(read_db) == before
            assert await system.generations() == [(1, True)]
            await system.reached("accounts", await system.append(Opened(account="b", owner="bea")))
