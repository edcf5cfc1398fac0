"""Every read database keeps read models in step."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from diptych.read.db.database import ReadDatabase, open_read_db
from diptych.testing.read_database_conformance import ReadDatabaseConformance


class TestSqlite(ReadDatabaseConformance):
    def open_read_db(self, folder: Path) -> AbstractAsyncContextManager[ReadDatabase]:
        return open_read_db(f"sqlite:///{folder / 'read.db'}")


class OnPostgres(ReadDatabaseConformance):
    version: int

    @pytest.fixture(autouse=True)
    def database(self, postgres: Callable[[int], str]) -> None:
        self.url = postgres(self.version)

    def open_read_db(self, folder: Path) -> AbstractAsyncContextManager[ReadDatabase]:
        return open_read_db(self.url)


class TestPostgres18(OnPostgres):
    version = 18
