"""Every store keeps the promise of `diptych.store.port`."""

from contextlib import AbstractAsyncContextManager
from pathlib import Path

from diptych.store import open_store_backend
from diptych.store.port import Store
from diptych.testing.store_conformance import DurableStoreConformance, StoreConformance


class TestMemory(StoreConformance):
    def open_store(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        return open_store_backend("memory://")


class TestSqlite(DurableStoreConformance):
    def open_store(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        return open_store_backend(f"sqlite:///{folder / 'log.db'}")
