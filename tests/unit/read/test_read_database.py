"""A read database in a file: what it refuses, and what it survives."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import apsw
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.errors import BadDatabase, Unavailable
from diptych.log import open_store
from diptych.read.db import engines, sqlite
from diptych.read.db.database import ReadDatabase, open_read_db
from diptych.read.db.sqlite import APPLICATION_ID, connect


async def test_who_is_cancelled_again_and_again_leaves_no_connection_behind(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_read_db(f"sqlite:///{tmp_path / 'read.db'}") as read_db:

        async def look() -> None:
            async with read_db.snapshot() as connection:
                await connection.execute(text("SELECT 1"))
                await asyncio.sleep(3600)

        for turns in range(12):
            looking = asyncio.create_task(look())
            for _ in range(turns):
                await asyncio.sleep(0)
            while not looking.done():  # as an anyio scope does, with a client that went away
                looking.cancel()
                await asyncio.sleep(0)
            assert looking.cancelled()
    assert not caplog.records


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
    newer.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    newer.close()
    foreign = apsw.Connection(str(tmp_path / "foreign.db"))
    foreign.execute("CREATE TABLE theirs (a); PRAGMA user_version = 1")
    foreign.close()
    before = (tmp_path / "foreign.db").read_bytes()
    async with open_store(f"sqlite:///{tmp_path}/log.db", ()):
        pass

    for url, why in (
        ("nonsense", "is no read database"),
        ("sqlite:///", "is no read database"),
        (f"sqlite:///{tmp_path}/text", "no SQLite database"),
        (f"sqlite:///{tmp_path}/newer.db", "schema 99"),
        (f"sqlite:///{tmp_path}/foreign.db", "of something else"),
        (f"sqlite:///{tmp_path}/log.db", "of something else"),
    ):
        with pytest.raises(BadDatabase, match=why):
            async with open_read_db(url):
                pass
    assert (tmp_path / "foreign.db").read_bytes() == before


async def test_a_database_of_something_else_that_is_in_use_is_left_as_it_is(tmp_path: Path) -> None:
    foreign = apsw.Connection(str(tmp_path / "foreign.db"))
    foreign.execute("PRAGMA journal_mode = wal; CREATE TABLE theirs (a)").fetchall()

    with pytest.raises(BadDatabase, match="of something else"):
        async with open_read_db(f"sqlite:///{tmp_path}/foreign.db"):
            pass

    assert foreign.execute("SELECT name FROM sqlite_schema").fetchall() == [("theirs",)]
    assert foreign.execute("PRAGMA user_version").get == foreign.execute("PRAGMA application_id").get == 0
    foreign.close()


async def test_a_file_that_is_exchanged_or_removed_while_it_is_open_is_noticed(tmp_path: Path) -> None:
    path, aside = tmp_path / "read.db", tmp_path / "aside.db"
    async with open_read_db(f"sqlite:///{path}") as read_db:
        path.rename(aside)
        for attempt in (read_db.acquire, read_db.begin):
            with pytest.raises(Unavailable, match="moved, removed or replaced"):
                async with attempt():
                    pass
        assert not path.exists()  # and nobody makes an empty one
        path.write_bytes(aside.read_bytes())
        with pytest.raises(Unavailable, match="moved, removed or replaced"):
            async with read_db.acquire():
                pass

        aside.replace(path)
        async with read_db.acquire() as connection:
            assert (await connection.execute(text("SELECT 7"))).scalar_one() == 7


async def test_a_place_that_can_hold_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for url in (f"sqlite:///{tmp_path}", f"sqlite:///{tmp_path}/file/read.db"):
        with pytest.raises(BadDatabase, match=str(tmp_path)):
            async with open_read_db(url):
                pass


@pytest.mark.parametrize("option", ["unsafe=true", "prepared=false"])
async def test_a_url_means_the_same_for_the_log_and_the_read_models(
    postgres: Callable[[int], str], option: str
) -> None:
    async with open_read_db(f"{postgres(18)}&{option}") as read_db, read_db.acquire() as connection:
        assert (await connection.execute(text("SELECT 7"))).scalar_one() == 7


async def test_a_statement_that_gets_no_answer_in_time_is_an_outage(
    postgres: Callable[[int], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "STATEMENT_S", 0.3)

    async def wait(open_one: Callable[[], AbstractAsyncContextManager[AsyncConnection]]) -> None:
        async with open_one() as connection:
            await connection.execute(text("SELECT pg_sleep(20)"))

    async def give_up() -> None:
        async with read_db.begin() as connection:
            await connection.execute(text("SELECT 7"))
            raise TimeoutError("of a handler's own")

    async with open_read_db(postgres(18)) as read_db:
        for open_one in (read_db.begin, read_db.snapshot):
            with pytest.raises(Unavailable, match=r"gave no answer within 0\.3 s"):
                await wait(open_one)
        with pytest.raises(TimeoutError, match="own"):
            await give_up()


async def test_a_query_of_a_file_that_takes_too_long_is_ended(
    read_db: ReadDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "STATEMENT_S", 0.2)
    endless = "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"

    for _ in range(2):
        with pytest.raises(Unavailable, match=r"took longer than 0\.2 s and was ended"):
            async with read_db.snapshot() as connection:
                await connection.execute(text(endless))
        async with read_db.snapshot() as connection:
            assert (await connection.execute(text("SELECT 7"))).scalar_one() == 7


async def test_a_url_that_can_not_be_read_is_not_repeated() -> None:
    with pytest.raises(BadDatabase, match="names no read database") as refused:
        async with open_read_db("postgresql://ann:secret@host:port/db"):
            pass
    assert "secret" not in str(refused.value)


def test_a_statement_on_a_file_is_not_prepared_again_for_each_value(tmp_path: Path) -> None:
    """SQLite does so where a plan might depend on a value; it was half of a look-up by key."""
    raw = connect(str(tmp_path / "read.db"), query_only=False)

    assert raw.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1) == 1
    raw.close()
