"""Verifying: what is served against a fold over the log, at one position, while the projection goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import text

from diptych.errors import EventFailed, NotServed, Unavailable
from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Generation
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.follower import Follower
from diptych.read.projections.columns import Key
from diptych.read.projections.projection import TableProjection
from diptych.read.tend import comparison
from diptych.read.tend.verify import Verification
from diptych.store.port import Page
from diptych.testing.conformance.accounts import Accounts, Closed, Journal, Opened, Owners, Paid, System
from diptych.testing.conformance.case import until
from diptych.testing.conformance.read_case import ReadDatabaseCase
from diptych.testing.conformance.rebuilding import half_a_rebuild, let_the_owner_die, tables
from diptych.testing.conformance.things import Colour

ACCOUNTS = 30


@dataclass(frozen=True)
class Paint:
    """A row with a value that is one of a few."""

    account: Key[str]
    colour: Colour


class Painted(TableProjection[Paint, Opened]):
    """Owners that are colours."""

    def evolve(self, row: Paint | None, event: RecordedEvent[Opened]) -> Paint | None:
        return Paint(event.data.account, Colour(event.data.owner))


@dataclass(frozen=True)
class Notes:
    """A row that keeps whatever JSON can say."""

    account: Key[str]
    notes: dict[str, Any]


class Noted(TableProjection[Notes, Opened]):
    """Owners with a note that is a number."""

    def evolve(self, row: Notes | None, event: RecordedEvent[Opened]) -> Notes | None:
        return Notes(event.data.account, {"v": [1]})


class Verifying(ReadDatabaseCase):
    """What differs is found, whatever kind of projection made it, and nothing else is."""

    @pytest.mark.parametrize("kind", [Accounts, Owners, Journal])
    async def test_every_row_of_every_kind_is_as_the_log_folds_to_it(
        self, event_store: EventStore, read_db: ReadDatabase, kind: Any
    ) -> None:
        async with _followed(event_store, read_db, kind) as system:
            before = await tables(read_db)

            found = await system.synchronizer.verify(system.projections[0].name)

            assert found.ok, str(found)
            assert found.position == await event_store.head()
            assert found.rows >= ACCOUNTS - 1
            assert await tables(read_db) == before

    async def test_a_row_changed_by_hand_is_shown_with_both_values(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        async with _followed(event_store, read_db, Accounts) as system:
            await by_hand(read_db, "UPDATE accounts_v1 SET balance = 99, owner = 'eve' WHERE account = '07'")

            found = await system.synchronizer.verify("accounts")

            assert kinds(found) == (0, 0, 1)
            assert found.first[0].columns == ["owner", "balance"]
            assert (
                str(found.first[0]) == "row '07' of accounts differs: owner is 'eve', not 'ann'; balance is 99, not 7"
            )

    async def test_a_row_that_is_gone_is_missing_and_one_too_many_is_extra(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        async with _followed(event_store, read_db, Accounts) as system:
            await by_hand(read_db, "DELETE FROM accounts_v1 WHERE account IN ('00', '11')")
            await by_hand(read_db, "INSERT INTO accounts_v1 VALUES ('zz', 'eve', 1, 1, 1)")

            found = await system.synchronizer.verify("accounts", first=2)

            assert kinds(found) == (2, 1, 0)
            assert [(each.kind, each.key) for each in found.first] == [("missing", "00"), ("missing", "11")]

    @pytest.mark.parametrize("rows", [1, 2, 3, 7])
    async def test_what_differs_is_found_wherever_the_pages_end(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch, rows: int
    ) -> None:
        monkeypatch.setattr(comparison, "ROWS", rows)
        async with _followed(event_store, read_db, Accounts) as system:
            await by_hand(read_db, "DELETE FROM accounts_v1 WHERE account IN ('00', '01', '02', '13', '14', '29')")
            extra = "('000', '', 0, 0, 1), ('131', '', 0, 0, 1), ('132', '', 0, 0, 1), ('zz', '', 0, 0, 1)"
            await by_hand(read_db, f"INSERT INTO accounts_v1 VALUES {extra}")  # noqa: S608

            found = await system.synchronizer.verify("accounts")

            assert kinds(found) == (6, 4, 0)
            assert found.rows == ACCOUNTS + 4

    async def test_what_differs_in_what_was_remembered_is_found_too(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        async with _followed(event_store, read_db, Owners) as system:
            await by_hand(read_db, "UPDATE owners_owner_of_v1 SET owner = 'eve' WHERE account = '07'")

            found = await system.synchronizer.verify("owners")

            assert [(each.table, each.key) for each in found.first] == [("owners_owner_of", "07")]

    async def test_the_projection_goes_on_while_it_is_verified(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        async with _followed(event_store, read_db, Accounts, Owners, Journal) as system:
            paying = asyncio.create_task(_pay_for_ever(system))
            try:
                found = [await system.synchronizer.verify(name) for name in ("accounts", "owners", "journal")]
            finally:
                paying.cancel()
            await system.reached("accounts", await event_store.head())

            assert all(each.ok for each in found), [str(each) for each in found]
            positions = [each.position for each in found]
            assert positions == sorted(positions)
            assert positions[0] < positions[-1]

    async def test_one_verifies_at_a_time_and_what_a_crash_left_of_it_is_cleared_away(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        async with _followed(event_store, read_db, Accounts):
            pass
        system = System(event_store, read_db, Accounts)
        await half_a_rebuild(system, Generation("accounts", 1, 0))
        with pytest.raises(Unavailable, match="being verified by another worker"):
            await system.synchronizer.verify("accounts")

        await let_the_owner_die(read_db)
        found = await system.synchronizer.verify("accounts")

        assert found.ok
        async with read_db.snapshot() as connection:
            assert [each.of.generation for each in await checkpoint.all_of(connection)] == [1]

    async def test_an_event_that_was_skipped_is_named_as_a_likely_reason_with_who_skipped_it_and_why(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        broken = Accounts()
        system = System(event_store, read_db, broken)
        await system.append(Opened(account="a", owner="ann"), Paid(account="a", amount=1))
        async with system.running():
            broken.broken_at = 7
            guilty = await system.append(Paid(account="a", amount=7))
            await until(lambda: system.is_in("faulted"))
            await system.synchronizer.skip("accounts", "booked\ntwice", by="ann")
            await system.reached("accounts", await system.append(Paid(account="a", amount=2)))
            named = f"a likely reason: the event at position {guilty} was skipped by ann, "

            with pytest.raises(EventFailed) as verified:
                await system.synchronizer.verify("accounts")
            with pytest.raises(EventFailed) as rebuilt:
                await system.synchronizer.rebuild_projection("accounts")
            broken.broken_at = None
            found = await system.synchronizer.verify("accounts")

            for [note] in (verified.value.__notes__, rebuilt.value.__notes__):
                assert note.startswith(named)
            assert [(act.position, act.reason, act.by) for act in found.skipped] == [(guilty, "booked\ntwice", "ann")]
            assert kinds(found) == (0, 0, 1)
            assert named in str(found)
            assert str(found).endswith(" UTC: booked twice")

            await system.synchronizer.rebuild_projection("accounts")
            assert (await system.synchronizer.verify("accounts")).skipped == ()

    async def test_a_value_that_its_column_can_not_keep_is_a_row_that_differs(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Painted)
        await system.append(Opened(account="a", owner="red"), Opened(account="b", owner="blue"))
        async with system.running():
            await system.reached("painted", await event_store.head())
            await by_hand(read_db, "UPDATE painted_v1 SET colour = 'green' WHERE account = 'b'")

            found = await system.synchronizer.verify("painted")

        assert kinds(found) == (0, 0, 1)
        assert "colour is 'green' (which the column can't keep), not <Colour.BLUE" in str(found)

    async def test_what_is_not_served_can_not_be_verified(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        system = System(event_store, read_db, Accounts)

        before = await tables(read_db)
        with pytest.raises(NotServed):
            await system.synchronizer.verify("accounts")

        assert await tables(read_db) == before

    async def test_a_handler_that_fails_is_told_with_its_event_and_leaves_nothing_behind(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        async with _followed(event_store, read_db, Accounts):
            pass
        broken = Accounts()
        broken.broken_at = 7
        before = await tables(read_db)

        with pytest.raises(EventFailed, match="projection 'accounts' fails at event 'Paid'") as failed:
            await System(event_store, read_db, broken).synchronizer.verify("accounts")

        guilty = await event_store.store.event_at(failed.value.position)
        assert guilty is not None
        assert event_store.decode(guilty).data == Paid(account="07", amount=7)
        assert failed.value.why == "RuntimeError: a bug in evolve"
        assert isinstance(failed.value.__cause__, RuntimeError)
        assert await tables(read_db) == before

    async def test_what_is_paused_while_it_is_verified_is_verified_all_the_same(
        self, event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        apply = Follower.apply

        async def once_paused(follower: Follower, page: Page) -> None:
            if follower.of.generation == 0 and not await system.is_in("paused"):
                await system.synchronizer.pause("accounts")
            await apply(follower, page)

        async with _followed(event_store, read_db, Accounts) as system:
            monkeypatch.setattr(Follower, "apply", once_paused)

            assert (await asyncio.wait_for(system.synchronizer.verify("accounts"), 20)).ok

            assert await system.is_in("paused")

    @pytest.mark.parametrize(("stored", "shown"), [('{"v": [1.0]}', "[1.0]"), ('{"v": [true]}', "[True]")])
    async def test_numbers_and_truths_in_json_are_told_apart(
        self, event_store: EventStore, read_db: ReadDatabase, stored: str, shown: str
    ) -> None:
        async with _followed(event_store, read_db, Noted) as system:
            assert (await system.synchronizer.verify("noted")).ok
            await by_hand(read_db, f"UPDATE noted_v1 SET notes = '{stored}' WHERE account = '07'")  # noqa: S608

            found = await system.synchronizer.verify("noted")

            assert kinds(found) == (0, 0, 1)
            assert str(found.first[0]) == f"row '07' of noted differs: notes is {{'v': {shown}}}, not {{'v': [1]}}"


@asynccontextmanager
async def _followed(event_store: EventStore, read_db: ReadDatabase, *kinds: Any) -> AsyncIterator[System]:
    """Some accounts, followed to the head of the log."""
    system = System(event_store, read_db, *kinds)
    for number in range(ACCOUNTS):
        account = f"{number:02}"
        await system.append(Opened(account=account, owner="ann"), Paid(account=account, amount=number))
    await system.append(Opened(account="closed", owner="bob"), Closed(account="closed"))
    async with system.running():
        for projection in system.projections:
            await system.reached(projection.name, await event_store.head())
        yield system


async def _pay_for_ever(system: System) -> None:
    while True:
        paid = await system.append(*(Paid(account=f"{number:02}", amount=1) for number in range(ACCOUNTS)))
        await system.reached("journal", paid)  # the log would else outgrow everything


async def by_hand(read_db: ReadDatabase, statement: str) -> None:
    """Write to the read database past every projection."""
    async with read_db.begin() as connection:
        await connection.execute(text(statement))


def kinds(found: Verification) -> tuple[int, int, int]:
    """How many rows are missing, extra and different."""
    return found.missing, found.extra, found.different
