"""Transactions are whole, snapshots see one moment, and whoever leaves takes nothing along."""

import asyncio
import gc
import warnings
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.read.db.database import ReadDatabase
from diptych.testing.conformance.read_case import ReadDatabaseCase

INSERT = text("INSERT INTO t VALUES (:a)")


class Transacting(ReadDatabaseCase):
    """Writing transactions and read-only snapshots."""

    @pytest.fixture
    async def numbered(self, read_db: ReadDatabase) -> ReadDatabase:
        """With a table of numbers."""
        async with read_db.begin() as connection:
            await connection.execute(text("CREATE TABLE t (a integer)"))
        return read_db

    async def test_a_transaction_is_written_whole(self, numbered: ReadDatabase) -> None:
        async with numbered.begin() as connection:
            await connection.execute(INSERT, [{"a": 1}, {"a": 2}])

        assert await numbers_in(numbered) == [1, 2]

    async def test_a_transaction_that_fails_is_not_written_at_all(self, numbered: ReadDatabase) -> None:
        with suppress(RuntimeError):
            async with numbered.begin() as connection:
                await connection.execute(INSERT, {"a": 1})
                raise RuntimeError("half-way")

        assert await numbers_in(numbered) == []

    async def test_a_cancelled_transaction_is_rolled_back_and_the_database_goes_on(
        self, numbered: ReadDatabase
    ) -> None:
        inside = asyncio.Event()

        async def write_for_ever() -> None:
            async with numbered.begin() as connection:
                await connection.execute(INSERT, {"a": 1})
                inside.set()
                await asyncio.Event().wait()

        writing = asyncio.create_task(write_for_ever())
        await inside.wait()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)
        async with numbered.begin() as connection:
            await connection.execute(INSERT, {"a": 2})

        assert await numbers_in(numbered) == [2]

    def test_whoever_is_cancelled_at_any_moment_leaves_no_connection_open(self, tmp_path: Path) -> None:
        random = Random(7)

        async def look_and_leave() -> None:
            async with self.open_read_db(tmp_path) as read_db:
                for longest_s in (0.03, 0.002):  # the first one connects, the second one finds a connection
                    looking = asyncio.create_task(look(read_db))
                    await asyncio.wait([looking], timeout=random.uniform(0, longest_s))
                    looking.cancel()
                    await asyncio.wait([looking])

        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", ResourceWarning)
            for _ in range(40):
                asyncio.run(look_and_leave())
            gc.collect()

        assert [str(each.message) for each in warned] == []

    async def test_a_snapshot_sees_nothing_of_what_is_not_committed_or_came_later(self, numbered: ReadDatabase) -> None:
        async with numbered.begin() as connection:
            await connection.execute(INSERT, {"a": 1})
            assert await numbers_in(numbered) == []

        async with numbered.acquire() as snapshot:
            async with numbered.begin() as connection:
                await connection.execute(INSERT, {"a": 2})
            assert await numbers(snapshot) == [1]

    async def test_more_readers_than_connections_wait_their_turn(self, numbered: ReadDatabase) -> None:
        assert await asyncio.gather(*(numbers_in(numbered) for _ in range(100))) == [[]] * 100


async def look(read_db: ReadDatabase) -> None:
    """Open a snapshot and close it."""
    async with read_db.acquire():
        return


async def numbers_in(read_db: ReadDatabase) -> list[int]:
    """What a new snapshot sees."""
    async with read_db.acquire() as connection:
        return await numbers(connection)


async def numbers(connection: AsyncConnection) -> list[int]:
    """What a connection sees."""
    return list((await connection.execute(text("SELECT a FROM t ORDER BY a"))).scalars())
