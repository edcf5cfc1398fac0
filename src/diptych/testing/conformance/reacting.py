"""What happens elsewhere when events do."""

from collections.abc import Sequence
from typing import ClassVar, Literal

import pytest

from diptych.errors import BadProjection, Unavailable
from diptych.event import RecordedEvent
from diptych.log import EventStore
from diptych.read.db.database import ReadDatabase
from diptych.read.projections.failure import OnFailure, Park
from diptych.read.projections.reaction import Reaction
from diptych.testing.conformance.accounts import Accounts, Opened, Other, Paid, System
from diptych.testing.conformance.case import until
from diptych.testing.conformance.read_case import ReadDatabaseCase


class Receipts(Reaction[Paid]):
    """Sends a receipt for every payment, unless told to fail."""

    on_failure: ClassVar[OnFailure] = Park(tries=2, limit=3)

    def __init__(self, *fails: int) -> None:
        self.sent: list[tuple[str, int]] = []
        self.tried: list[int] = []
        self.fails: set[int] = set(fails)
        self.away: int = 0

    async def react(self, event: RecordedEvent[Paid]) -> None:
        self.tried.append(event.data.amount)
        if self.away:
            self.away -= 1
            raise Unavailable("the mail server is away")
        if event.data.amount in self.fails:
            raise RuntimeError("no such address")
        self.sent.append((self.id_of(event), event.data.amount))

    @property
    def amounts(self) -> Sequence[int]:
        return [amount for _, amount in self.sent]


class Reacting(ReadDatabaseCase):
    """At least once, in order, each by its id."""

    async def test_a_reaction_begins_at_the_head_when_it_is_first_deployed(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        receipts = Receipts()
        system = System(event_store, read_db, receipts)
        await system.append(Paid(account="a", amount=1))
        await system.synchronizer.deploy()
        last = await system.append(Paid(account="a", amount=2), Other(), Paid(account="a", amount=3))

        async with system.running():
            await system.reached("receipts", last)
        later = await system.append(Paid(account="a", amount=4))
        again = Receipts()
        restarted = System(event_store, read_db, again)
        await restarted.synchronizer.deploy()
        async with restarted.running():
            await restarted.reached("receipts", later)

        assert (receipts.amounts, again.amounts) == ([2, 3], [4])
        events = {event.data.amount: event.event_id for event in await event_store.read_all(event_types=["Paid"])}
        assert [*receipts.sent, *again.sent] == [(f"receipts-{events[n]}", n) for n in (2, 3, 4)]

    async def test_it_begins_at_the_beginning_where_it_says_so(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        class FromTheBeginning(Receipts):
            name = "receipts"
            start: ClassVar[Literal["head", "beginning"]] = "beginning"

        receipts = FromTheBeginning()
        system = System(event_store, read_db, receipts)
        last = await system.append(Paid(account="a", amount=1), Paid(account="a", amount=2))

        async with system.running():
            await system.reached("receipts", last)

        assert receipts.amounts == [1, 2]

    async def test_a_rebuild_lets_nothing_happen_again(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        receipts = Receipts()
        system = System(event_store, read_db, Accounts, receipts)
        await system.synchronizer.deploy()

        async with system.running():
            last = await system.append(Opened(account="a", owner="ann"), Paid(account="a", amount=1))
            for name in ("accounts", "receipts"):
                await system.reached(name, last)
            await system.synchronizer.rebuild_projection("accounts")
            with pytest.raises(BadProjection, match="'receipts' is a reaction, and stands on this log"):
                await system.synchronizer.rebuild_projection("receipts")

        assert receipts.amounts == [1]

    async def test_one_that_fails_is_a_dead_letter_with_those_of_its_stream_and_holds_up_no_other(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        receipts = Receipts(1)
        system = System(event_store, read_db, receipts)
        await system.synchronizer.deploy()

        async with system.running():
            await system.append(Paid(account="a", amount=1), stream="a")
            await system.append(Paid(account="b", amount=2), stream="b")
            last = await system.append(Paid(account="a", amount=3), stream="a")
            reached = await system.synchronizer.wait_for("receipts", last, 60)
            (status,) = await system.synchronizer.status()
            assert (reached.reason, receipts.amounts, receipts.tried.count(1)) == ("parked", [2], 2)
            (dead,) = status.parked
            assert (dead.key, dead.events, dead.error) == ("stream a", 2, "RuntimeError: no such address")

            await system.synchronizer.retry("receipts", "stream a")
            await until(lambda: _was_tried_again(system, dead.tries))
            receipts.fails.clear()
            await system.synchronizer.retry("receipts", "stream a")
            await until(lambda: _has_parked_nothing(system))

        assert receipts.amounts == [2, 1, 3]
        assert [act.act for act in await system.synchronizer.acts()] == ["retry", "retry"]

    async def test_a_dead_letter_that_is_skipped_never_happens(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        receipts = Receipts(1)
        system = System(event_store, read_db, receipts)
        await system.synchronizer.deploy()

        async with system.running():
            last = await system.append(Paid(account="a", amount=1), Paid(account="a", amount=2))
            await system.synchronizer.wait_for("receipts", last, 60)
            await system.synchronizer.skip("receipts", "no such customer", "stream s")
            await system.synchronizer.retry("receipts", "stream s")
            await until(lambda: _has_parked_nothing(system))

        assert receipts.amounts == [2]

    async def test_what_is_away_is_tried_until_it_is_back(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        receipts = Receipts()
        receipts.away = 5
        system = System(event_store, read_db, receipts)
        await system.synchronizer.deploy()

        async with system.running():
            await system.reached("receipts", await system.append(Paid(account="a", amount=1)))

        assert receipts.tried == [1] * 6
        assert receipts.amounts == [1]

    async def test_one_worker_at_a_time_lets_it_happen(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        one, other = Receipts(), Receipts()
        systems = [System(event_store, read_db, each) for each in (one, other)]
        for system in systems:
            await system.synchronizer.deploy()

        async with systems[0].running(), systems[1].running():
            positions = [await systems[0].append(Paid(account="a", amount=number)) for number in range(20)]
            await systems[1].reached("receipts", positions[-1])

        assert sorted([*one.amounts, *other.amounts]) == list(range(20))


async def _was_tried_again(system: System, tries: int) -> bool:
    (status,) = await system.synchronizer.status()
    return any(each.tries > tries for each in status.parked)


async def _has_parked_nothing(system: System) -> bool:
    (status,) = await system.synchronizer.status()
    return not status.parked
