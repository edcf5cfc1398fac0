"""Several processes write one log while another follows it, and each is killed in turn."""

import asyncio
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from tests.faults.checks import check_sound
from tests.faults.tallies import caught_up
from tests.faults.waiting import until
from tests.serving import ROOT, environment

SOON_S, LATER_S = (0.1, 0.4), (0.3, 1.0)


class Worker:
    """A process that writes or follows; started again whenever it is killed."""

    def __init__(self, folder: Path, what: str, name: str) -> None:
        self._folder, self._what, self._name = folder, what, name
        self._starts = 0
        self.start()

    def start(self) -> None:
        self._starts += 1
        files = [str(self._folder / "log.db"), str(self._folder / "read.db")]
        self._output = self._folder / f"{self._name}-{self._starts}.txt"
        with self._output.open("wb") as output, (self._folder / "errors.txt").open("ab") as errors:
            command = [sys.executable, "-m", "tests.faults.tallies", self._what, *files]
            self.process = subprocess.Popen(
                [*command, f"{self._name}x{self._starts}"],
                stdout=output,
                stderr=errors,
                cwd=ROOT,
                env=environment(PYTHONPATH=":".join(sys.path)),
            )

    def kill(self) -> None:
        assert self.process.poll() is None, "it ended by itself"
        self.process.kill()
        self.process.wait()

    @property
    def has_answered(self) -> bool:
        assert self.process.poll() is None, "it ended by itself"
        return self._output.stat().st_size > 0


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Callable[[str, str], Worker]]:
    started: list[Worker] = []

    def start(what: str, name: str) -> Worker:
        started.append(Worker(tmp_path, what, name))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()


@pytest.mark.timeout(600)
async def test_processes_killed_in_turn_lose_and_double_nothing(
    worker: Callable[[str, str], Worker], tmp_path: Path, amount: Callable[..., Any]
) -> None:
    random = Random(3)
    writers = [worker("append", f"w{number}") for number in range(4)]
    everybody = [*writers, worker("follow", "f")]
    for writer in writers:
        await until(lambda writer=writer: writer.has_answered, "nothing was appended")  # type: ignore[misc]
    end, every_s = time.monotonic() + amount(short=1, long=60), amount(short=SOON_S, long=LATER_S)
    while time.monotonic() < end:
        for each in everybody:
            await asyncio.sleep(random.uniform(*every_s))
            each.kill()
            each.start()
    await until(lambda: any(writer.has_answered for writer in writers), "nothing was appended in the end")
    for each in everybody:
        each.kill()

    await check(tmp_path)


async def check(folder: Path) -> None:
    events, rows, (lines, total) = await caught_up(folder / "log.db", folder / "read.db")

    by_position = {event.global_position: event for event in events}
    whole = Counter((event.data.name, event.data.number, event.stream_id) for event in events)
    for name, number, position in answers(folder):
        last = by_position[position]
        assert (last.stream_id, last.data.name, last.data.number) == ("Shared", name, number)
        assert (whole[name, number, f"Own-{name}"], whole[name, number, "Shared"]) == (1, 2)
    for stream, count in Counter(event.stream_id for event in events).items():
        assert [event.version for event in events if event.stream_id == stream] == list(range(1, count + 1))
    times, totals = Counter[str](), Counter[str]()
    for event in events:
        times[event.data.name] += 1
        totals[event.data.name] += event.data.number
    assert {name: (row.times, row.total) for name, row in rows.items()} == {
        name: (times[name], totals[name]) for name in times
    }
    assert (lines, total) == (len(events), totals.total())
    assert "locked" not in (folder / "errors.txt").read_text(encoding="utf-8")
    check_sound(folder / "log.db")
    check_sound(folder / "read.db")


def answers(folder: Path) -> Iterator[tuple[str, int, int]]:
    """What was answered: name, number and position; a line cut off is no answer."""
    for output in folder.glob("w*.txt"):
        for line in output.read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                name, number, position = line.split()
                yield name, int(number), int(position)
