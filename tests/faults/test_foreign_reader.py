"""A foreign program keeps a snapshot open: nobody waits for it, and the WAL shrinks back once it has ended."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.faults.checks import check_sound
from tests.faults.tallies import Tallied
from tests.faults.waiting import until

from diptych import open_store
from diptych.store.sqlite.connection import WAL_BYTES

# Another process, with the SQLite of its own Python.
FOREIGN = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("BEGIN")
print(connection.execute("SELECT count(*) FROM event").fetchone()[0], flush=True)
sys.stdin.readline()
print(connection.execute("SELECT count(*) FROM event").fetchone()[0], flush=True)
"""


@pytest.mark.timeout(300)
async def test_a_snapshot_kept_open_holds_nobody_up_and_the_wal_shrinks_back(
    tmp_path: Path, amount: Callable[..., int]
) -> None:
    log, wal = tmp_path / "log.db", tmp_path / "log.db-wal"

    def is_small() -> bool:
        return wal.stat().st_size <= 2 * WAL_BYTES

    async with open_store(f"sqlite:///{log}", [Tallied]) as event_store:

        async def append(size: int) -> None:
            event = Tallied(name="x" * size, number=1)
            await event_store.append_events(stream_id="S-1", stream_type="S", events=[event])

        await append(1)
        with a_foreign_snapshot(log) as counted_again:
            end = time.monotonic() + amount(short=1, long=60)
            while time.monotonic() < end or is_small():
                await append(900_000 if is_small() else 100)
            assert counted_again() == 1
        for _ in range(3):  # the first moves what waits into the database, the next begins the WAL anew
            await append(1)

        await until(lambda: wal.stat().st_size <= WAL_BYTES, "the WAL is still large")
    assert not wal.exists()
    check_sound(log)


@contextmanager
def a_foreign_snapshot(log: Path) -> Iterator[Callable[[], int]]:
    """A process that counts the events and keeps its snapshot; called, it counts once more in it and ends."""
    command = [sys.executable, "-c", FOREIGN, str(log)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "1\n"

        def count_again() -> int:
            output, _ = process.communicate("\n", timeout=60)
            return int(output)

        try:
            yield count_again
        finally:
            process.kill()
