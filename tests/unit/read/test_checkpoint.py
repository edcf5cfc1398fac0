"""What the partitions of a generation are as a whole."""

from diptych.read.books.checkpoint import Checkpoint, Generation, together
from diptych.read.books.wait import Watcher
from diptych.read.db.database import ReadDatabase
from diptych.store.port import LogIdentity

LOG = LogIdentity("a log", 1)


async def test_a_partition_that_is_no_place_in_the_log_makes_the_whole_none(read_db: ReadDatabase) -> None:
    rewound = together([part(0, 96), part(1, 100, state="rewound", error="gone")])

    reached = Watcher(read_db, LOG).reached(rewound, 95)

    assert (reached.stale, reached.reason) == (True, "rewound")


async def test_partitions_of_several_logs_are_at_no_place_together(read_db: ReadDatabase) -> None:
    of_two_logs = together([part(0, 96), part(1, 100, log=LogIdentity("another log", 1))])

    assert Watcher(read_db, LOG).reached(of_two_logs, 95).stale


def part(
    number: int, position: int, *, state: str = "running", log: LogIdentity = LOG, error: str | None = None
) -> Checkpoint:
    return Checkpoint(
        Generation("p", 1),
        position,
        event_id="",
        log=log,
        epoch=1,
        owner=None,
        lease_until=0,
        state=state,
        error=error,
        error_position=None,
        since=None,
        served=True,
        partition=number,
    )
