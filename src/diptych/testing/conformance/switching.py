"""Switching: to what was rebuilt and back again, checked before, told of meanwhile, or given up."""

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from diptych.errors import NotKept, NotServed, RebuildCancelled, RebuildRefused, Unavailable
from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Generation
from diptych.read.books.progress import Progress
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.follower import Follower
from diptych.read.follow.generations import tidy
from diptych.read.projections.columns import Indexed, Key
from diptych.read.projections.projection import TableProjection
from diptych.read.projections.projector import projector
from diptych.testing.conformance.accounts import Account, AccountEvent, Accounts, Journal, Opened, Owners, Paid, System
from diptych.testing.conformance.case import until
from diptych.testing.conformance.read_case import ReadDatabaseCase
from diptych.testing.conformance.rebuilding import half_a_rebuild, tables
from diptych.testing.conformance.verifying import by_hand


@dataclass(frozen=True)
class RicherAccount:
    """The second version of an account."""

    account: Key[str]
    owner: Indexed[str]
    balance: int = 0
    payments: int = 0
    highest: int = 0


class RicherAccounts(TableProjection[RicherAccount, AccountEvent]):
    """The second version of accounts."""

    name: ClassVar[str] = "accounts"
    version: ClassVar[int] = 2
    interest: int = 0

    def evolve(self, row: RicherAccount | None, event: RecordedEvent[AccountEvent]) -> RicherAccount | None:
        match event.data:
            case Opened(account=account, owner=owner):
                return RicherAccount(account, owner)
            case Paid(amount=amount):
                if row is None:
                    return None
                balance = row.balance + amount + self.interest
                return replace(row, balance=balance, payments=row.payments + 1, highest=max(row.highest, amount))
            case _:
                return None


class Moody(Accounts):
    """Accounts whose fold has a bug the second time."""

    name: ClassVar[str] = "accounts"
    is_wrong: ClassVar[bool] = False

    def evolve(self, row: Account | None, event: RecordedEvent[AccountEvent]) -> Account | None:
        after = super().evolve(row, event)
        return replace(after, balance=after.balance + 1) if after and after.account == "7" and self.is_wrong else after


class Switching(ReadDatabaseCase):
    """What is served is never older than it was, and never what was refused."""

    @pytest.mark.parametrize("kind", [Accounts, Owners, Journal])
    async def test_what_was_served_before_is_kept_in_step_and_served_again(
        self, event_store: EventStore, read_db: ReadDatabase, kind: type
    ) -> None:
        system = System(event_store, read_db, kind)
        name = system.projections[0].name
        await system.append(*(Opened(account=str(n), owner="ann") for n in range(20)), Paid(account="1", amount=1))
        async with system.running():
            await system.reached(name, await event_store.head())
            await system.synchronizer.rebuild_projection(name)
            assert await system.generations() == [(1, False), (2, True)]
            await system.reached(name, await system.append(Paid(account="1", amount=4)))

            await system.synchronizer.switch_back(name)

            assert await system.generations() == [(1, True), (2, False)]
            await system.reached(name, await system.append(Paid(account="1", amount=5)))
            assert (await system.synchronizer.verify(name)).ok
            await system.synchronizer.switch_back(name)
            assert await system.generations() == [(1, False), (2, True)]
            assert (await system.synchronizer.verify(name)).ok

    async def test_what_is_behind_is_never_switched_back_to(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="1", owner="ann"))
        async with system.running():
            await system.reached("accounts", await event_store.head())
        await system.append(Paid(account="1", amount=4))
        await system.synchronizer.rebuild_projection("accounts")  # nobody keeps the old one in step

        with pytest.raises(Unavailable, match="no worker brought it in step"):
            await system.synchronizer.switch_back("accounts", timeout_s=0.1)
        assert await system.served() == [2]

        async with System(event_store, read_db, Accounts).running():
            await system.synchronizer.switch_back("accounts")
            assert await system.served() == [1]
            assert (await system.row("1")).balance == 4

    async def test_what_is_only_kept_moves_nobody_who_waits(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="1", owner="ann"))
        async with system.running():
            await system.reached("accounts", await event_store.head())
        await system.synchronizer.rebuild_projection("accounts")
        watcher = system.synchronizer.watcher
        kept = Follower(
            event_store, read_db, system.projections[0], Generation("accounts", 1, 1), watcher, publish=True
        )
        assert await kept.claim(checkpoint.new_owner())
        last = await system.append(Paid(account="1", amount=4))
        waiting = asyncio.create_task(system.synchronizer.wait_for("accounts", last, timeout=0.5))
        await asyncio.sleep(0)

        page = await kept.read(10)
        assert page is not None
        await kept.apply(page)

        assert (await waiting).stale

    async def test_what_is_not_kept_is_removed_and_can_not_be_switched_back_to(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="1", owner="ann"))
        async with system.running():
            await system.reached("accounts", await event_store.head())
            with pytest.raises(NotKept, match="nothing that projection 'accounts' served before is kept"):
                await system.synchronizer.switch_back("accounts")

            await system.synchronizer.rebuild_projection("accounts")
            assert await system.synchronizer.way_back("accounts") == Generation("accounts", 1, 1)
            await system.synchronizer.rebuild_projection("accounts", keep_s=0)

            assert await system.generations() == [(3, True)]
            assert await system.synchronizer.way_back("accounts") is None
            assert not {"accounts_v1", "accounts_v1_2"} & {*await tables(read_db)}
            with pytest.raises(NotKept):
                await system.synchronizer.switch_back("accounts")

    async def test_what_was_kept_long_enough_goes_by_itself(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="1", owner="ann"))
        async with system.running():
            await system.reached("accounts", await event_store.head())
            await system.synchronizer.rebuild_projection("accounts", keep_s=0.5)
            assert len(await system.generations()) == 2

            await until(lambda: _is(system, [(2, True)]))
            await system.reached("accounts", await system.append(Paid(account="1", amount=4)))

    async def test_of_several_that_are_kept_the_newest_stays(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="1", owner="ann"))
        async with system.running():
            await system.reached("accounts", await event_store.head())
            for keep_s in (3_600, 600, 60):
                await system.synchronizer.rebuild_projection("accounts", keep_s=keep_s)

            assert await system.generations() == [(3, False), (4, True)]
            assert await system.synchronizer.switch_back("accounts") == Generation("accounts", 1, 3)

    async def test_a_rebuild_after_a_switch_back_begins_anew(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="1", owner="ann"))
        async with system.running():
            await system.reached("accounts", await event_store.head())
            await system.synchronizer.rebuild_projection("accounts")
            await system.synchronizer.switch_back("accounts")

            await system.synchronizer.rebuild_projection("accounts")

            assert await system.generations() == [(1, False), (3, True)]

    async def test_a_rebuild_tells_how_far_it_has_come(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(*(Opened(account=str(n), owner="ann") for n in range(50)))
        told: list[Progress] = []
        async with system.running():
            await system.reached("accounts", await event_store.head())
            await system.synchronizer.rebuild_projection("accounts", before_switch="verify", progress=told.append)

        assert list(dict.fromkeys(each.stage for each in told)) == ["building", "indexing", "verifying", "served"]
        assert {each.of.generation for each in told} == {2}
        assert (told[0].position, told[0].left) == (0, await event_store.head())
        assert (told[-1].left, told[-1].seconds_left) == (0, 0)
        assert all(each.rate >= 0 for each in told)

    async def test_a_rebuild_that_differs_from_what_is_served_is_refused_before_the_switch(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        system = System(event_store, read_db, Moody)
        await system.append(*(Opened(account=str(n), owner="ann") for n in range(20)))
        async with system.running():
            await system.reached("accounts", await event_store.head())
            monkeypatch.setattr(Moody, "is_wrong", True)
            with pytest.raises(RebuildRefused, match="row '7' of accounts differs: balance is 0, not 1") as refused:
                await system.synchronizer.rebuild_projection("accounts", before_switch="verify")
            monkeypatch.setattr(Moody, "is_wrong", False)

            assert "1 different" in str(refused.value)
            assert await system.served() == [1]
            assert await system.synchronizer.cancel_rebuild("accounts")
            await system.synchronizer.rebuild_projection("accounts", before_switch="verify")
            assert await system.served() != [1]

    async def test_what_was_refused_is_served_when_it_is_asked_for_without_the_check(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(*(Opened(account=str(n), owner="ann") for n in range(20)))
        async with system.running():
            await system.reached("accounts", await event_store.head())
            await by_hand(read_db, "UPDATE accounts_v1 SET balance = 99 WHERE account = '7'")
            with pytest.raises(RebuildRefused, match="balance is 99, not 0"):
                await system.synchronizer.rebuild_projection("accounts", before_switch="verify")

            await system.synchronizer.rebuild_projection("accounts")

            assert await system.served() == [2]
            assert (await system.synchronizer.verify("accounts")).ok

    async def test_a_rebuild_under_way_is_cancelled_from_elsewhere(
        self, event_store: EventStore, read_db: ReadDatabase, tmp_path: Path
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(*(Opened(account=str(n), owner="ann") for n in range(20)))
        async with system.running(), self.open_read_db(tmp_path) as same_db:
            await system.reached("accounts", await event_store.head())
            assert not await system.synchronizer.cancel_rebuild("accounts")
            await pause(read_db, Generation("accounts", 1, 2), system)
            rebuilding = asyncio.create_task(system.synchronizer.rebuild_projection("accounts"))
            await until(lambda: owned(read_db, Generation("accounts", 1, 2)))

            assert await System(event_store, same_db, Accounts).synchronizer.cancel_rebuild("accounts")

            with pytest.raises(RebuildCancelled):
                await rebuilding
            assert await system.generations() == [(1, True)]
            assert "accounts_v1_2" not in await tables(read_db)

    async def test_a_rebuild_that_is_paused_goes_on_when_it_is_resumed(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(*(Opened(account=str(n), owner="ann") for n in range(20)))
        async with system.running():
            await system.reached("accounts", await event_store.head())
            await pause(read_db, Generation("accounts", 1, 2), system)
            rebuilding = asyncio.create_task(system.synchronizer.rebuild_projection("accounts"))
            await until(lambda: owned(read_db, Generation("accounts", 1, 2)))
            await system.reached("accounts", await system.append(Paid(account="1", amount=4)))
            assert not rebuilding.done()

            await by_hand(read_db, "UPDATE diptych_checkpoint SET paused = 0")

            await rebuilding
            assert (await system.row("1")).balance == 4
            assert await system.served() == [2]

    async def test_a_new_version_is_built_beside_the_one_that_is_served(
        self, event_store: EventStore, read_db: ReadDatabase, tmp_path: Path
    ) -> None:
        old = System(event_store, read_db, Accounts)
        await old.append(*(Opened(account=str(n), owner="ann") for n in range(20)), Paid(account="1", amount=3))
        async with old.running(), self.open_read_db(tmp_path) as same_db:
            await old.reached("accounts", await event_store.head())
            new = System(event_store, same_db, RicherAccounts)
            with pytest.raises(NotServed):
                await new.synchronizer.verify("accounts")

            await new.synchronizer.rebuild_projection("accounts", before_switch="verify")

            assert (await richer(new)).highest == 3
            async with new.running():
                last = await old.append(Paid(account="1", amount=9))
                await old.reached("accounts", last)
                await new.reached("accounts", last)
                assert (await old.row("1")).balance == (await richer(new)).balance == 12

    async def test_a_new_version_with_a_bug_is_refused_before_it_is_served(
        self, event_store: EventStore, read_db: ReadDatabase, tmp_path: Path
    ) -> None:
        old = System(event_store, read_db, Accounts)
        await old.append(*(Opened(account=str(n), owner="ann") for n in range(20)), Paid(account="1", amount=3))
        async with old.running(), self.open_read_db(tmp_path) as same_db:
            await old.reached("accounts", await event_store.head())
            buggy = RicherAccounts()
            buggy.interest = 1
            new = System(event_store, same_db, buggy)

            with pytest.raises(RebuildRefused, match="row '1' of accounts differs: balance is 3, not 4"):
                await new.synchronizer.rebuild_projection("accounts", before_switch="verify")

            assert await new.served() == []
            assert (await old.row("1")).balance == 3

    async def test_a_build_that_overtook_what_is_served_is_compared_once_that_has_come_as_far(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(Opened(account="1", owner="ann"))
        async with system.running():
            await system.reached("accounts", await event_store.head())
        await system.append(*(Paid(account="1", amount=n) for n in range(9)))
        await half_a_rebuild(system, Generation("accounts", 1, 2))
        async with read_db.begin() as connection:
            for each in await checkpoint.all_of(connection):
                await checkpoint.release(connection, each)

        rebuilding = asyncio.create_task(
            system.synchronizer.rebuild_projection("accounts", before_switch="verify"),
        )
        await until(lambda: owned(read_db, Generation("accounts", 1, 2)))
        async with System(event_store, read_db, Accounts).running():
            await rebuilding
            assert await system.served() == [2]

    async def test_what_a_half_built_rebuild_left_is_no_use_to_anybody_but_it(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        await system.append(*(Opened(account=str(n), owner="ann") for n in range(20)))
        async with system.running():
            await system.reached("accounts", await event_store.head())
            await half_a_rebuild(system, Generation("accounts", 1, 2))

            await tidy(read_db, system.projections[0])

            assert await system.generations() == [(1, True), (2, False)]


async def richer(system: System) -> RicherAccount:
    """The account "1" of the second version."""
    found: RicherAccount | None = await system.model(RicherAccounts).get("1")
    assert found is not None
    return found


async def _is(system: System, generations: list[tuple[int, bool]]) -> bool:
    return await system.generations() == generations


async def owned(read_db: ReadDatabase, of: Generation) -> bool:
    """Whether a generation is there, and somebody is at it."""
    async with read_db.snapshot() as connection:
        found = await checkpoint.get(connection, of)
    return found is not None and found.owner is not None


async def pause(read_db: ReadDatabase, of: Generation, system: System) -> None:
    """Begin a generation that is paused."""
    made = projector(system.projections[0], of)
    async with read_db.begin() as connection:
        await checkpoint.add(connection, of, system.event_store.identity, made.plan)
        await made.create(connection)
    await by_hand(read_db, "UPDATE diptych_checkpoint SET paused = 1 WHERE generation = 2")
