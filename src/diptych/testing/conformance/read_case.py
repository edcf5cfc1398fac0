"""What every group of cases of a read database stands on: one that is open and empty, and a log in memory."""

from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from diptych.log import EventStore, open_store
from diptych.read.db.database import ReadDatabase
from diptych.testing.conformance.accounts import EVENTS


class ReadDatabaseCase:
    """A group of cases; `read_db` is open, empty and new for each of them."""

    @abstractmethod
    def open_read_db(self, folder: Path) -> AbstractAsyncContextManager[ReadDatabase]:
        """The read database under test; opened with the same *folder* again, it is the same one."""

    @pytest.fixture
    async def read_db(self, tmp_path: Path) -> AsyncIterator[ReadDatabase]:
        """An empty read database."""
        async with self.open_read_db(tmp_path) as read_db:
            yield read_db

    @pytest.fixture
    async def event_store(self) -> AsyncIterator[EventStore]:
        """A log to follow."""
        async with open_store("memory://", events=EVENTS) as event_store:
            yield event_store
