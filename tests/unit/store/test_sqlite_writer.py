"""Appends are gathered into batches of bounded size, and no thread is left behind."""

import asyncio
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from diptych.store.port import Append, Store
from diptych.store.queue import Answer
from diptych.store.sqlite import Limits, open_sqlite
from diptych.store.sqlite.commit import Committer
from diptych.store.sqlite.connection import connect_writer, prepare_writer
from diptych.store.sqlite.schema import make_tables
from diptych.store.sqlite.writer import Writer
from diptych.testing.conformance.case import a_command, an_append, event, to, until


class WatchedCommitter(Committer):
    """Tells how large the batches are."""

    sizes: list[int]

    def commit(self, appends: Sequence[Append]) -> Sequence[Answer]:
        self.sizes.append(len(appends))
        return super().commit(appends)


def watched_committer(folder: Path) -> WatchedCommitter:
    connection = connect_writer(str(folder / "log.db"))
    prepare_writer(connection)
    make_tables(connection)
    committer = WatchedCommitter(connection, patience_s=5)
    committer.sizes = []
    return committer


@pytest.mark.parametrize(
    ("limits", "sizes"),
    [
        (Limits(), [10]),
        (Limits(batch_appends=4), [4, 4, 2]),
        (Limits(batch_bytes=3 * 102), [3, 3, 3, 1]),
        (Limits(batch_bytes=1), [1] * 10),
    ],
)
async def test_what_is_sent_in_one_turn_of_the_loop_goes_in_as_few_batches_as_the_limits_allow(
    tmp_path: Path, limits: Limits, sizes: list[int]
) -> None:
    committer = watched_committer(tmp_path)
    writer = Writer(committer, limits, moved_to=lambda position: None)
    appends = [an_append(to(f"Order-{number}", event(payload=b"x" * 100))) for number in range(10)]

    await asyncio.gather(*[writer.append(append) for append in appends])
    await writer.close()

    assert committer.sizes == sizes


async def test_a_batch_is_bounded_by_the_results_of_its_commands_too(tmp_path: Path) -> None:
    committer = watched_committer(tmp_path)
    writer = Writer(committer, Limits(batch_bytes=300), moved_to=lambda position: None)
    records = [a_command(f"command-{number}", result=b'"' + b"x" * 98 + b'"') for number in range(4)]

    await asyncio.gather(*[writer.append(Append(record.id, (), record)) for record in records])
    await writer.close()

    assert committer.sizes == [3, 1]


async def test_the_end_of_the_log_is_known_before_anybody_is_answered(tmp_path: Path) -> None:
    reached: list[int] = []
    writer = Writer(watched_committer(tmp_path), Limits(), moved_to=reached.append)

    outcome = await writer.append(an_append(to("Order-1", event(), event())))

    assert reached == [outcome.position] == [2]
    await writer.close()


async def test_no_thread_and_no_task_outlives_a_store(tmp_path: Path) -> None:
    threads, tasks = set(threading.enumerate()), asyncio.all_tasks()

    async with open_sqlite(str(tmp_path / "log.db")) as store:
        await use(store)
        assert set(threading.enumerate()) - threads

    await until(lambda: nothing_left(threads))
    assert asyncio.all_tasks() == tasks


async def use(store: Store) -> None:
    await store.append(an_append(to("Order-1")))
    await asyncio.gather(*[store.head() for _ in range(20)])
    waits = [asyncio.create_task(store.wait_beyond(1_000, 60)) for _ in range(3)]
    await store.wait_beyond(0, 1)
    await store.read(0, limit=1)
    waits[0].cancel()


async def nothing_left(threads: set[threading.Thread]) -> bool:
    return not set(threading.enumerate()) - threads
