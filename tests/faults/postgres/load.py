"""Twelve writers in four processes and a reader that tails, on one log; and what must hold of it in the end."""

import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP
from typing import Any

from tests.faults.tallies import Tallied
from tests.faults.waiting import until
from tests.serving import ROOT, environment

from diptych import EventStore, RecordedEvent, open_store

PROCESSES = 4
PAGE = 5_000


class Load:
    """The processes, and what they have printed so far."""

    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder
        self.writers = [self._start("append", f"w{number}") for number in range(PROCESSES)]
        self.reader = self._start("tail", "tail")

    async def more_answered(self, number: int) -> None:
        """Wait until so many more appends were answered; every process has begun by then."""
        await self.reader_saw(1)
        await until(lambda: all(output.stat().st_size for output in self._outputs()), "not every writer has begun")
        before = len(list(self.answers()))
        await until(lambda: self._answered_since(before) >= number, f"fewer than {number} appends were answered")

    def pause(self, number: int) -> None:
        """Stop one of the writers in the middle of whatever it does."""
        self.writers[number].send_signal(SIGSTOP)

    def go_on(self, number: int) -> None:
        """Let it go on."""
        self.writers[number].send_signal(SIGCONT)

    def kill(self) -> None:
        """End them all as kill -9 does."""
        for process in (*self.writers, self.reader):
            process.kill()
            process.wait()

    def answers(self) -> Iterator[list[str]]:
        """What writers were answered; a line that was cut off is no answer."""
        for output in self._outputs():
            for line in output.read_text(encoding="utf-8").splitlines(keepends=True):
                if line.endswith("\n"):
                    yield line.split()

    def seen(self) -> list[tuple[int, str]]:
        """What the reader saw, in its order."""
        lines = (self._folder / "tail.txt").read_text(encoding="utf-8").splitlines(keepends=True)
        return [(int(position), id) for position, id in (line.split() for line in lines if line.endswith("\n"))]

    async def reader_saw(self, position: int) -> None:
        """Wait until the reader has come so far."""
        await until(lambda: any(seen >= position for seen, _ in self.seen()[-1:]), "the reader stands still")

    def _outputs(self) -> Iterable[Path]:
        return self._folder.glob("w*.txt")

    def _answered_since(self, before: int) -> int:
        for process in (*self.writers, self.reader):
            assert process.poll() is None, (self._folder / "errors.txt").read_text(encoding="utf-8")
        return len(list(self.answers())) - before

    def _start(self, what: str, name: str) -> "subprocess.Popen[bytes]":
        with (self._folder / f"{name}.txt").open("wb") as output, (self._folder / "errors.txt").open("ab") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.faults.postgres.writers", what, self._url, name],
                stdout=output,
                stderr=errors,
                cwd=ROOT,
                env=environment(PYTHONPATH=":".join(sys.path)),
            )


@contextmanager
def under_load(url: str, folder: Path) -> Iterator[Load]:
    """The load for as long as the block runs."""
    load = Load(url, folder)
    try:
        yield load
    finally:
        load.kill()


async def whole(event_store: EventStore) -> list[RecordedEvent[Any]]:
    """The log, page by page: a load may leave more than comes in one answer in good time."""
    events: list[RecordedEvent[Any]] = []
    while page := await event_store.read_all(events[-1].global_position if events else 0, limit=PAGE):
        events += page
    return events


async def check(load: Load, url: str) -> None:
    """
    Hold the log against what was answered and seen.

    What was answered is there once and whole, what was refused is absent, versions and positions
    agree, and the reader saw exactly the log from its beginning on.
    """
    async with open_store(url, [Tallied]) as event_store:
        await load.reader_saw(await event_store.head())
        load.kill()
        events = await whole(event_store)
    parts = Counter((event.data.name, event.data.number, event.stream_type) for event in events)
    last = {event.global_position: event for event in events}
    for name, number, *answer in load.answers():
        own, shared = parts[name, int(number), "Own"], parts[name, int(number), "Shared"]
        if answer == ["refused"]:
            assert (own, shared) == (0, 0), (name, number)
            continue
        size, position = map(int, answer)
        assert (own, shared) == (size, 1), (name, number, own, shared)
        end = last[position]
        assert (end.stream_id, end.data.name, end.data.number) == ("Shared", name, int(number))
    assert {parts[name, number, "Shared"] for name, number, _ in parts} == {1}
    for stream, count in Counter(event.stream_id for event in events).items():
        assert [event.version for event in events if event.stream_id == stream] == list(range(1, count + 1))
    assert load.seen() == [(event.global_position, event.event_id) for event in events][: len(load.seen())]
