"""Every read database keeps read models in step."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from diptych.read.database import ReadDatabase, open_read_db
from diptych.testing.read_database_conformance import ReadDatabaseConformance


class TestSqlite(ReadDatabaseConformance):
    def open_read_db(self, folder: Path) -> AbstractAsyncContextManager[ReadDatabase]:
        return open_read_db(f"sqlite:///{folder / 'read.db'}")
