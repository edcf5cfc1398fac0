"""A log in memory and a read database in a file, for the tests of the read panel."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from diptych.log import EventStore, open_store
from diptych.read.books.wait import Watcher
from diptych.read.db.database import ReadDatabase, open_read_db
from diptych.testing.conformance.accounts import EVENTS

from .colours import Counted


@pytest.fixture
async def event_store() -> AsyncIterator[EventStore]:
    async with open_store("memory://", events=EVENTS) as event_store:
        yield event_store


@pytest.fixture
async def read_db(tmp_path: Path) -> AsyncIterator[ReadDatabase]:
    async with open_read_db(f"sqlite:///{tmp_path}/read.db") as read_db:
        yield read_db


@pytest.fixture
async def watcher(event_store: EventStore, read_db: ReadDatabase) -> AsyncIterator[Watcher]:
    watcher = Watcher(read_db, event_store.identity)
    yield watcher
    await watcher.close()


@pytest.fixture
def counted(event_store: EventStore, monkeypatch: pytest.MonkeyPatch) -> Counted:
    return Counted(event_store, monkeypatch)
