"""A writer that is held up, runs out of disk, or meets an append nobody foresaw."""

import asyncio
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from diptych.errors import Misuse, OutcomeUnknown, Overloaded, Unavailable
from diptych.store.port import Append, NewEvent, Store
from diptych.store.sqlite import Limits, open_sqlite
from diptych.testing.conformance.case import an_append, event, everything, to


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the log lies."""
    return tmp_path / "log.db"


@pytest.fixture
async def hasty(path: Path) -> AsyncIterator[Store]:
    """A store that doesn't wait long."""
    async with open_sqlite(str(path), Limits(queue_appends=3, queue_s=0.2, patience_s=0.05)) as store:
        yield store


@contextmanager
def another_writer(path: Path) -> Iterator[apsw.Connection]:
    """Somebody who holds the log's write lock."""
    connection = apsw.Connection(str(path))
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield connection
    finally:
        connection.close()


@contextmanager
def no_more_disk(path: Path) -> Iterator[None]:
    """No file of this process grows beyond what the log has written so far."""
    before, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (Path(f"{path}-wal").stat().st_size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (before, hard))


async def test_an_append_waits_for_another_writer(path: Path) -> None:
    async with open_sqlite(str(path)) as store:
        with another_writer(path) as other:
            appending = asyncio.create_task(store.append(an_append(to("Order-1"))))
            await store.wait_beyond(0, 0.05)
            assert not appending.done()
            other.execute("ROLLBACK")

        assert (await appending).ends[0].version == 1


async def test_a_writer_held_up_too_long_says_so_and_stores_nothing(path: Path, hasty: Store) -> None:
    append = an_append(to("Order-1"))

    with another_writer(path), pytest.raises(Unavailable, match="try again") as error:
        await hasty.append(append)

    assert "database is locked" in str(error.value.__cause__)
    assert await hasty.head() == 0
    assert not (await hasty.append(append)).repeated


async def test_readers_go_on_while_another_writes(path: Path, hasty: Store) -> None:
    await hasty.append(an_append(to("Order-1")))

    with another_writer(path):
        assert len(await everything(hasty)) == 1


async def test_more_than_may_wait_are_turned_away(path: Path, hasty: Store) -> None:
    with another_writer(path):
        sent = [asyncio.create_task(hasty.append(an_append(to(f"Order-{number}")))) for number in range(4)]
        await asyncio.sleep(0)

        results = await asyncio.gather(*sent, return_exceptions=True)

    assert [type(result) for result in results] == [Unavailable, Unavailable, Unavailable, Overloaded]


async def test_who_waited_too_long_is_turned_away(path: Path) -> None:
    async with open_sqlite(str(path), Limits(queue_s=0.0, patience_s=0.05)) as store:
        with pytest.raises(Overloaded):
            await store.append(an_append(to("Order-1")))

        assert await store.head() == 0


async def test_a_commit_that_fails_leaves_its_outcome_open_and_may_be_sent_again(path: Path, hasty: Store) -> None:
    await hasty.append(an_append(to("Order-1")))
    append = an_append(to("Order-2", event(payload=b"x" * 100_000)))

    with no_more_disk(path):
        with pytest.raises(OutcomeUnknown) as unknown:
            await hasty.append(append)
        assert len(await everything(hasty)) == 1
    await hasty.append(append)

    assert unknown.value.append_id == append.id
    assert [event.stream for event in await everything(hasty)] == ["Order-1", "Order-2"]


async def test_a_commit_that_fails_is_sent_again_until_the_disk_has_room(path: Path) -> None:
    async with open_sqlite(str(path)) as store:
        await store.append(an_append(to("Order-1")))

        with no_more_disk(path):
            appending = asyncio.create_task(store.append(an_append(to("Order-2", event(payload=b"x" * 100_000)))))
            await store.wait_beyond(1, 0.05)
            assert not appending.done()

        assert (await appending).ends[0].version == 1
        assert len(await everything(store)) == 2


async def test_only_the_guilty_append_of_a_batch_fails(path: Path) -> None:
    surrogate = event(type="\ud800")
    text = NewEvent("text", "Happened", 1, "{}", b"{}")  # type: ignore[arg-type]  # what the store refuses
    appends = [
        an_append(to("Order-1")),
        an_append(to("Order-2", event(), surrogate)),
        an_append(to("Order-1", event(), event())),
        Append("text", [to("Order-3", text)]),
        an_append(to("Order-4")),
    ]

    async with open_sqlite(str(path)) as store:
        results = await asyncio.gather(*[store.append(append) for append in appends], return_exceptions=True)

        stored = [(event.stream, event.version) for event in await everything(store)]
    assert isinstance(results[1], UnicodeEncodeError)
    assert isinstance(results[3], Misuse)
    assert stored == [("Order-1", 1), ("Order-1", 2), ("Order-1", 3), ("Order-4", 1)]
