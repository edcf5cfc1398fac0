"""A URL names a store, or the error says which URLs do."""

import subprocess
import sys
from pathlib import Path

import pytest

from diptych.errors import BadDatabase
from diptych.store import open_store_backend
from diptych.store.memory import MemoryStore
from diptych.store.sqlite import SqliteStore


@pytest.mark.parametrize(
    "url",
    [
        "mysql://host/db",
        "log.db",
        "",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite://log.db",
        "sqlite:///:memory:",
        "sqlite:///a.db?x=1",
    ],
)
async def test_a_url_that_names_no_store_is_refused_with_those_that_do(url: str) -> None:
    with pytest.raises(
        BadDatabase, match="sqlite:////absolute/path.db, postgresql://user@host:port/database or memory://"
    ):
        await open_store_backend(url).__aenter__()


async def test_a_memory_store_has_no_name() -> None:
    with pytest.raises(BadDatabase, match="use memory://"):
        await open_store_backend("memory://log").__aenter__()


async def test_every_memory_store_is_another_log() -> None:
    async with open_store_backend("memory://") as one, open_store_backend("memory://") as other:
        assert isinstance(one, MemoryStore)
        assert one.identity != other.identity


async def test_an_absolute_path_follows_four_slashes_and_missing_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "some" / "folder" / "log.db"

    async with open_store_backend(f"sqlite:///{path}") as store:
        assert isinstance(store, SqliteStore)

    assert path.is_file()


async def test_a_relative_path_follows_three_slashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async with open_store_backend("sqlite:///data/log.db"):
        assert (tmp_path / "data" / "log.db").is_file()


def test_a_driver_is_loaded_when_its_store_is_opened() -> None:
    program = "import sys, diptych.store; sys.exit('diptych.store.sqlite' in sys.modules)"

    assert (
        subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": ":".join(sys.path)}, check=False).returncode
        == 0
    )
