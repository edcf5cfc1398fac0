"""
A reaction whose process is killed: `python -m tests.faults.letters LOG READ SENT`.

It writes what names each effect into a file, as another system that it can't commit together with. Between
that and its checkpoint it kills its own process, the first time that it meets an event.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path

from diptych import Diptych, Event, Reaction, RecordedEvent


class Ordered(Event):
    number: int


class Letters(Reaction[Ordered]):
    """Sends a letter for each order."""

    def __init__(self, sent: Path) -> None:
        self.sent = sent

    async def react(self, event: RecordedEvent[Ordered]) -> None:
        before = self.sent.read_text(encoding="utf-8").split()
        letter = self.id_of(event)
        with self.sent.open("a", encoding="utf-8") as file:
            file.write(f"{letter}\n")
            file.flush()
            os.fsync(file.fileno())
        if letter not in before:
            os.kill(os.getpid(), signal.SIGKILL)


def letters(sent: Path) -> Diptych:
    """The application."""
    return Diptych(reactions=[Letters], provide={Path: sent})


async def follow(log: str, read: str, sent: Path) -> None:
    """React to all that there is, as far as this process comes."""
    async with letters(sent).open(log, read) as running:
        await running.caught_up(60)


if __name__ == "__main__":
    asyncio.run(follow(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
