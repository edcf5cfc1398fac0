"""Every store keeps the promise of `diptych.store.port`."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from diptych.store import open_store_backend
from diptych.store.port import Store
from diptych.testing.store_conformance import DurableStoreConformance, StoreConformance


class TestMemory(StoreConformance):
    def open_store(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        return open_store_backend("memory://")


class TestSqlite(DurableStoreConformance):
    def open_store(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        return open_store_backend(f"sqlite:///{folder / 'log.db'}")


class OnPostgres(DurableStoreConformance):
    version: int

    @pytest.fixture(autouse=True)
    def database(self, postgres: Callable[[int], str]) -> None:
        self.url = postgres(self.version)

    def open_store(self, folder: Path) -> AbstractAsyncContextManager[Store]:
        return open_store_backend(self.url)


class TestPostgres18(OnPostgres):
    version = 18


class TestPostgres16(OnPostgres):
    version = 16


class TestPostgres15(OnPostgres):
    version = 15
