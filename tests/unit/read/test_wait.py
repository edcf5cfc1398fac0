"""How a watcher goes on when its looks fail, and when nobody of its process follows any more."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from diptych.errors import Unavailable
from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Checkpoint, Generation
from diptych.read.books.wait import OneForAll, Watcher
from diptych.read.db.database import ReadDatabase
from diptych.testing.conformance.accounts import Accounts, Opened, System


async def test_a_look_that_fails_is_told_once_and_the_next_one_answers(
    event_store: EventStore, read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    system = System(event_store, read_db, Accounts)
    async with system.running():
        last = await system.append(Opened(account="a", owner="ann"))
        await system.reached("accounts", last)
    of_row, times = checkpoint.of_row, 0

    def fails_at_first(row: Mapping[Any, Any]) -> Checkpoint:
        nonlocal times
        times += 1
        if times < 3:
            raise KeyError("nobody foresaw this")
        return of_row(row)

    monkeypatch.setattr(checkpoint, "of_row", fails_at_first)
    watcher = Watcher(read_db, event_store.identity)

    reached = await watcher.wait("accounts", 1, last, 30)

    await watcher.close()
    assert (reached.stale, times) == (False, 3)
    assert len([each for each in caplog.records if "nobody who waits" in each.message]) == 1


async def test_what_no_runner_moves_any_more_is_looked_at_again(read_db: ReadDatabase) -> None:
    watcher, of = Watcher(read_db, None), Generation("accounts", 1)
    watcher.moved(of, 5)
    assert watcher.lags("accounts", 1, 6)

    watcher.forget(of)

    assert not watcher.lags("accounts", 1, 6)


async def test_who_asks_for_what_is_closed_meanwhile_is_told_and_not_cancelled() -> None:
    begun = asyncio.Event()

    async def never() -> None:
        begun.set()
        await asyncio.sleep(3600)

    one = OneForAll(never)
    under_way = asyncio.create_task(one.fresh())
    await begun.wait()
    behind = asyncio.create_task(one.fresh())
    await asyncio.sleep(0)

    await one.close()

    for asked in (under_way, behind):
        with pytest.raises(Unavailable, match="ask again where they are open"):
            await asked
