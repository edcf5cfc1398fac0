"""Waiting for those who follow elsewhere: one watcher for all, woken with the truth."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import Any

from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text

from diptych.log import EventStore
from diptych.read.ask.consistency import asking
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Generation, Plan
from diptych.read.books.wait import Reached
from diptych.read.db.database import ReadDatabase
from diptych.store.port import LogIdentity
from diptych.testing.conformance.accounts import Accounts, Opened, Paid, System
from diptych.testing.conformance.read_case import ReadDatabaseCase

ANSWERED_S = 0.1


class Waiting(ReadDatabaseCase):
    """By `reader`, which follows nothing, for `worker`, which does."""

    async def test_a_thousand_who_wait_ask_no_more_than_ten(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        worker, reader = System(event_store, read_db, Accounts), System(event_store, read_db, Accounts)

        async def asked_by(waiting: int) -> int:
            with _looks(read_db) as looks:
                reached = await asyncio.gather(*_waits(reader, waiting, 1_000, timeout_s=1.0))
            assert {each.reason for each in reached} == {"timeout"}
            return len(looks)

        async with worker.running():
            await worker.reached("accounts", await worker.append(Opened(account="a", owner="ann")))
            ten, thousand = await asked_by(10), await asked_by(1_000)
            await reader.synchronizer.watcher.close()

        assert 0 < thousand <= ten + 5

    async def test_all_who_wait_are_answered_soon_after_the_checkpoint(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        worker, reader = System(event_store, read_db, Accounts), System(event_store, read_db, Accounts)

        async def answered_after() -> float:
            waits = _waits(reader, 1_000, await event_store.head() + 1, timeout_s=60)
            await reader.reached("accounts", 0)  # by now all of them wait
            await worker.reached("accounts", await worker.append(Paid(account="a", amount=1)))
            applied_at = monotonic()
            assert {each.stale for each in await asyncio.gather(*waits)} == {False}
            return monotonic() - applied_at

        async with worker.running():
            await worker.reached("accounts", await worker.append(Opened(account="a", owner="ann")))
            took = [await answered_after() for _ in range(5)]
            await reader.synchronizer.watcher.close()

        assert min(took) <= ANSWERED_S, took  # the machine may be busy with something else now and then

    async def test_a_fault_elsewhere_ends_a_wait_at_once(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        broken = Accounts()
        broken.broken_at = 5
        worker, reader = System(event_store, read_db, broken), System(event_store, read_db, Accounts)

        async with worker.running(), asyncio.timeout(60):
            await worker.reached("accounts", await worker.append(Opened(account="a", owner="ann")))
            (waiting,) = _waits(reader, 1, await event_store.head() + 1, timeout_s=3_600)
            await worker.append(Paid(account="a", amount=5))
            reached = await waiting
            await reader.synchronizer.watcher.close()

        assert (reached.stale, reached.reason) == (True, "faulted")

    async def test_a_position_of_another_log_is_not_waited_for(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)
        other = LogIdentity("elsewhere", 1)

        async with system.running(), asyncio.timeout(60):
            last = await system.append(Opened(account="a", owner="ann"))
            await system.reached("accounts", last)
            watcher = System(event_store, read_db, Accounts).synchronizer.watcher
            reached = [await watcher.wait("accounts", 1, position, 3_600, log=other) for position in (1, last + 1)]
            await watcher.close()

        assert {each.reason for each in reached} == {"another log"}

    async def test_a_wait_tells_at_once_what_is_parked_below_it(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)

        async with system.running(), asyncio.timeout(60):
            first, last = [await system.append(Opened(account=name, owner="ann")) for name in "ab"]
            await system.reached("accounts", last)
            await _set(read_db, f"parked_at = {last}")
            reached = [await system.synchronizer.wait_for("accounts", position, 3_600) for position in (first, last)]
            with asking(last, 3_600) as freshness:
                await system.row("a")
            with asking(0, 3_600) as unasked:
                await system.row("a")

        assert [(each.stale, each.reason) for each in reached] == [(False, None), (True, "parked")]
        assert [freshness.served[0][0].reason, unasked.served[0][0].reason] == ["parked", "parked"]

    async def test_nobody_waits_for_what_is_paused(self, event_store: EventStore, read_db: ReadDatabase) -> None:
        worker, reader = System(event_store, read_db, Accounts), System(event_store, read_db, Accounts)

        async with worker.running():
            await worker.reached("accounts", await worker.append(Opened(account="a", owner="ann")))
        await _set(read_db, "paused = 1")
        async with asyncio.timeout(60):
            reached = await reader.synchronizer.wait_for("accounts", await event_store.head() + 1, 3_600)
            await reader.synchronizer.watcher.close()

        assert (reached.stale, reached.reason) == (True, "paused")

    async def test_a_projection_in_partitions_is_where_the_one_furthest_behind_is(
        self, event_store: EventStore, read_db: ReadDatabase
    ) -> None:
        system = System(event_store, read_db, Accounts)

        async with system.running():
            await system.reached("accounts", await system.append(Opened(account="a", owner="ann")))
        async with read_db.begin() as connection:
            await checkpoint.add(connection, Generation("accounts", 1), event_store.identity, Plan("", ""), partition=1)
        reached = await system.synchronizer.wait_for("accounts", 1, timeout=0)
        with asking(1, 0) as freshness:
            await system.row("a")

        assert (reached.position, reached.reason) == (0, "timeout")
        assert freshness.served[0][0] == reached


async def _set(read_db: ReadDatabase, what: str) -> None:
    async with read_db.begin() as connection:
        await connection.execute(text(f"UPDATE diptych_checkpoint SET {what}"))  # noqa: S608  # nobody's but this file's


def _waits(system: System, number: int, position: int, *, timeout_s: float) -> list["asyncio.Task[Reached]"]:
    waiting = system.synchronizer.wait_for
    return [asyncio.create_task(waiting("accounts", position, timeout=timeout_s)) for _ in range(number)]


@contextmanager
def _looks(read_db: ReadDatabase) -> Iterator[list[str]]:
    """Statements that look at every checkpoint."""
    engine, found = read_db._engines.readers.sync_engine, list[str]()

    def note(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if "diptych_checkpoint" in statement:
            found.append(statement)

    sqlalchemy_event.listen(engine, "before_cursor_execute", note)
    try:
        yield found
    finally:
        sqlalchemy_event.remove(engine, "before_cursor_execute", note)
