"""Waiting costs next to nothing while nothing happens."""

import asyncio
import time
from pathlib import Path

import pytest

from diptych.errors import Unavailable
from diptych.store.sqlite.watcher import Watcher
from diptych.testing.conformance.case import DEADLINE_S, until


class Head:
    """A log's end, and how often it was asked for."""

    def __init__(self) -> None:
        self.position, self.asked, self.away = 0, 0, False

    async def ask(self) -> int:
        self.asked += 1
        if self.away:
            raise Unavailable("away")
        return self.position


@pytest.fixture
def head() -> Head:
    """An empty log's."""
    return Head()


async def test_an_idle_log_is_asked_once_a_second_however_many_wait(tmp_path: Path, head: Head) -> None:
    watcher = Watcher(tmp_path / "log.db-wal", head.ask, sync_takes_s=0)
    began = time.monotonic()

    await asyncio.gather(*[watcher.wait_beyond(0, 1.2) for _ in range(100)])

    assert 1 < head.asked <= time.monotonic() - began + 1
    await watcher.close()


async def test_a_change_of_the_file_is_noticed_without_a_question(tmp_path: Path, head: Head) -> None:
    wal = tmp_path / "log.db-wal"
    watcher = Watcher(wal, head.ask, ask_every_s=3600, sync_takes_s=0.01)
    waiting = asyncio.create_task(watcher.wait_beyond(0, 60))
    await watcher.wait_beyond(0, 0.1)
    asked = head.asked

    head.position = 1
    await watcher.wait_beyond(0, 0.1)
    assert (head.asked, waiting.done()) == (asked, False)
    wal.write_bytes(b"a commit")

    await asyncio.wait_for(waiting, DEADLINE_S)
    await watcher.close()


async def test_a_commit_seen_a_while_after_its_file_changed_is_noticed_too(tmp_path: Path, head: Head) -> None:
    wal = tmp_path / "log.db-wal"
    watcher = Watcher(wal, head.ask, ask_every_s=3600, sync_takes_s=60)
    waiting = asyncio.create_task(watcher.wait_beyond(0, 60))
    wal.write_bytes(b"a commit")
    await until(lambda: has_asked(head, 3))

    head.position = 1

    await asyncio.wait_for(waiting, DEADLINE_S)
    await watcher.close()


async def has_asked(head: Head, times: int) -> bool:
    return head.asked >= times


async def test_a_database_that_is_away_wakes_nobody_and_stops_nothing(tmp_path: Path, head: Head) -> None:
    watcher = Watcher(tmp_path / "log.db-wal", head.ask)
    head.away = True
    waiting = asyncio.create_task(watcher.wait_beyond(0, 60))
    await watcher.wait_beyond(0, 0.03)
    assert not waiting.done()

    head.away, head.position = False, 1

    await asyncio.wait_for(waiting, DEADLINE_S)
    await watcher.close()


async def test_what_others_learn_wakes_those_who_wait(tmp_path: Path, head: Head) -> None:
    watcher = Watcher(tmp_path / "log.db-wal", head.ask)
    near, far = (asyncio.create_task(watcher.wait_beyond(position, 60)) for position in (4, 5))
    await asyncio.sleep(0)

    watcher.moved_to(5)

    await asyncio.wait_for(near, DEADLINE_S)
    assert not far.done()
    await watcher.close()
    await far
