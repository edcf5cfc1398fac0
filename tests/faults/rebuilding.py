"""
A rebuild in a process of its own, to be killed: `python -m tests.faults.rebuilding LOG READ BATCH [HOLD]`.

It prints each position that it has reached, and "served" at the end; from HOLD on it stands still.
"""

import asyncio
import signal
import sys
from math import inf

from tests.faults.tallies import Tallied, Tallies

from diptych import ReadModelSynchronizer, open_read_db, open_store
from diptych.read.books.progress import Progress
from diptych.read.follow import pace


async def rebuild(log: str, read: str, hold: float) -> None:
    """Rebuild the tallies once."""

    def tell(at: Progress) -> None:
        print(at.stage, at.position, flush=True)  # noqa: T201  # for the test
        if at.position >= hold:
            signal.pause()  # with all its tasks, until it is killed

    async with open_store(log, [Tallied]) as event_store, open_read_db(read) as read_db:
        synchronizer = ReadModelSynchronizer(event_store, read_db, [Tallies])
        await synchronizer.rebuild_projection("tallies", progress=tell)


if __name__ == "__main__":
    pace.BATCH_EVENTS = int(sys.argv[3])
    asyncio.run(rebuild(sys.argv[1], sys.argv[2], float(sys.argv[4]) if sys.argv[4:] else inf))
