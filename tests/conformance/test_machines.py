"""Every store agrees with the model, whatever is done to it and in whatever order."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from hypothesis import HealthCheck, settings

from diptych.store import open_store_backend
from diptych.store.port import Store
from diptych.testing.store_machine import StoreMachine

SETTINGS = settings(
    max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck), database=None
)


class Memory(StoreMachine):
    def open_store(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        return open_store_backend("memory://")


class Sqlite(StoreMachine):
    durable = True

    def open_store(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        return open_store_backend(f"sqlite:///{folder / 'log.db'}")


TestMemory = Memory.TestCase
TestMemory.settings = SETTINGS
TestSqlite = Sqlite.TestCase
TestSqlite.settings = SETTINGS
