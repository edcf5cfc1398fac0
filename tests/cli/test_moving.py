"""A log is moved by two commands, which may be killed on the way."""

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.cli.calling import DIPTYCH, diptych, lines, refused, told
from tests.faults.waiting import until
from tests.serving import environment

from diptych.errors import BadDatabase, BadFile
from diptych.store import open_store_backend
from diptych.store.port import StoredEvent

NUMBER = 30_000


@pytest.fixture
def many(log: list[str]) -> list[str]:
    """A log of many events."""

    async def make() -> None:
        async with open_store_backend(log[1]) as store:
            await store.put(
                [
                    StoredEvent(at, f"Order-{at}", "Order", 1, "Placed", 1, f"{at}", b"{}", b"{}", at)
                    for at in range(1, NUMBER + 1)
                ]
            )

    asyncio.run(make())
    return log


def test_a_log_is_moved_and_its_figures_are_equal(many: list[str], tmp_path: Path) -> None:
    file, new = str(tmp_path / "log.jsonl"), ["--log", f"sqlite:///{tmp_path}/new.db"]

    exported, imported = lines("export", file, *many), lines("import", file, *new)

    assert exported == imported
    assert (exported[0]["events"], exported[0]["commands"], exported[0]["position"]) == (NUMBER, 0, NUMBER)
    assert str(NUMBER) in told("import", file, *new)
    assert lines("streams", "list", *new, "--limit", "3") == lines("streams", "list", *many, "--limit", "3")


async def test_export_and_import_killed_on_the_way_go_on(many: list[str], tmp_path: Path) -> None:
    file, new = tmp_path / "log.jsonl", tmp_path / "new.db"

    await killed_when(lambda: size(file) > 100_000, "export", str(file), *many)
    await asyncio.to_thread(diptych, "export", str(file), *many)
    await killed_when(lambda: size(Path(f"{new}-wal")) > 500_000, "import", str(file), "--log", f"sqlite:///{new}")
    done = await asyncio.to_thread(diptych, "import", str(file), "--log", f"sqlite:///{new}", "--json")

    assert f'"events":{NUMBER}' in done.stdout
    await asyncio.to_thread(diptych, "export", str(tmp_path / "again.jsonl"), "--log", f"sqlite:///{new}")
    assert (tmp_path / "again.jsonl").read_bytes() == file.read_bytes()


async def killed_when(condition: Callable[[], bool], *command: str) -> None:
    """Run a command until a condition holds, and kill it there; it may have come to its end by then."""
    process = await asyncio.create_subprocess_exec(*DIPTYCH, *command, env=environment(), stdout=subprocess.DEVNULL)
    await until(lambda: condition() or process.returncode is not None, "nothing was written")
    if process.returncode is None:
        process.kill()
    await process.wait()


def size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def test_what_can_not_be_moved_is_told(log: list[str], tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text("no log\n")

    none = refused("import", str(file), *log)
    assert isinstance(none, BadFile)
    assert f"{file} is no export of a log" in str(none)
    assert isinstance(refused("export", str(file), *log), BadDatabase)  # there is none
    assert not Path(log[1].removeprefix("sqlite:///")).exists()
    told("export", code=2)
