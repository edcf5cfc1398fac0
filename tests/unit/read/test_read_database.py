import asyncio
from contextlib import suppress
from pathlib import Path

import apsw
import pytest

from diptych.errors import BadDatabase, Unavailable
from diptych.read.database import open_read_db


async def test_a_transaction_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    async with open_read_db(f"sqlite:///{tmp_path}/new/folder/read.db") as read_db:
        async with read_db.begin() as connection:
            await connection.exec_driver_sql("CREATE TABLE t (a)")
            await connection.exec_driver_sql("INSERT INTO t VALUES (?)", [(1,), (2,)])
        with suppress(RuntimeError):
            async with read_db.begin() as connection:
                await connection.exec_driver_sql("DELETE FROM t")
                raise RuntimeError("half-way")

        async with read_db.acquire() as connection:
            assert (await connection.exec_driver_sql("SELECT a FROM t")).scalars().all() == [1, 2]


async def test_a_cancelled_transaction_is_rolled_back_and_the_database_goes_on(tmp_path: Path) -> None:
    async with open_read_db(f"sqlite:///{tmp_path}/read.db") as read_db:
        async with read_db.begin() as connection:
            await connection.exec_driver_sql("CREATE TABLE t (a)")
        inside = asyncio.Event()

        async def write_for_ever() -> None:
            async with read_db.begin() as connection:
                await connection.exec_driver_sql("INSERT INTO t VALUES (1)")
                inside.set()
                await asyncio.Event().wait()

        writing = asyncio.create_task(write_for_ever())
        await inside.wait()
        writing.cancel()
        await asyncio.gather(writing, return_exceptions=True)

        async with read_db.begin() as connection:
            assert (await connection.exec_driver_sql("SELECT count(*) FROM t")).scalar_one() == 0


async def test_more_readers_than_connections_wait_their_turn(tmp_path: Path) -> None:
    async with open_read_db(f"sqlite:///{tmp_path}/read.db") as read_db:

        async def read() -> int:
            async with read_db.acquire() as connection:
                return int((await connection.exec_driver_sql("SELECT 7")).scalar_one())

        assert await asyncio.gather(*(read() for _ in range(100))) == [7] * 100


async def test_a_file_locked_by_another_writer_is_unavailable_and_then_works(tmp_path: Path) -> None:
    path = tmp_path / "read.db"
    async with open_read_db(f"sqlite:///{path}") as read_db:
        other = apsw.Connection(str(path))
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(Unavailable, match="can't be used now"):
            async with read_db.begin() as connection:
                await connection.exec_driver_sql("CREATE TABLE t (a)")
        other.execute("COMMIT")
        other.close()

        async with read_db.begin() as connection:
            await connection.exec_driver_sql("CREATE TABLE t (a)")


async def test_what_is_no_read_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database at all, but long enough to look like one" * 50)
    newer = apsw.Connection(str(tmp_path / "newer.db"))
    newer.execute("PRAGMA user_version = 99")
    newer.close()

    for url, why in (
        ("nonsense", "is no read database"),
        ("sqlite:///", "is no read database"),
        (f"sqlite:///{tmp_path}/text", "no SQLite database"),
        (f"sqlite:///{tmp_path}/newer.db", "schema 99"),
    ):
        with pytest.raises(BadDatabase, match=why):
            async with open_read_db(url):
                pass


async def test_a_place_that_can_hold_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for url in (f"sqlite:///{tmp_path}", f"sqlite:///{tmp_path}/file/read.db"):
        with pytest.raises(BadDatabase, match=str(tmp_path)):
            async with open_read_db(url):
                pass
