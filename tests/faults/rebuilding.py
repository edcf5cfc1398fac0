"""
A rebuild in a process of its own, to be killed: `python -m tests.faults.rebuilding LOG READ BATCH`.

It prints each position that it has reached, and "served" at the end.
"""

import asyncio
import sys

from tests.faults.tallies import Tallied, Tallies

from diptych import ReadModelSynchronizer, open_read_db, open_store
from diptych.read.follow import pace


async def rebuild(log: str, read: str) -> None:
    """Rebuild the tallies once."""
    async with open_store(log, [Tallied]) as event_store, open_read_db(read) as read_db:
        synchronizer = ReadModelSynchronizer(event_store, read_db, [Tallies])
        await synchronizer.rebuild_projection(
            "tallies",
            progress=lambda at: print(at.stage, at.position, flush=True),  # noqa: T201  # for the test
        )


if __name__ == "__main__":
    pace.BATCH_EVENTS = int(sys.argv[3])
    asyncio.run(rebuild(sys.argv[1], sys.argv[2]))
