"""What a log's file must be, what is refused, and what guards the events in it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from diptych.errors import BadDatabase
from diptych.store.port import LogIdentity
from diptych.store.sqlite import open_sqlite
from diptych.store.sqlite.connection import connect_reader, connect_writer, prepare_writer
from diptych.store.sqlite.schema import APPLICATION_ID
from diptych.testing.conformance.case import an_append, everything, to


@contextmanager
def opened(path: Path) -> Iterator[apsw.Connection]:
    connection = apsw.Connection(str(path))
    try:
        yield connection
    finally:
        connection.close()


async def identity_of(path: Path) -> LogIdentity:
    async with open_sqlite(str(path)) as store:
        return store.identity


@pytest.fixture
async def log(tmp_path: Path) -> Path:
    """A log with two events in a stream."""
    path = tmp_path / "log.db"
    async with open_sqlite(str(path)) as store:
        await store.append(an_append(to("Order-1")))
        await store.append(an_append(to("Order-1")))
    return path


async def test_a_file_that_is_no_database_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"Some notes, longer than a header of SQLite.\n" * 100)
    before = path.read_bytes()

    with pytest.raises(BadDatabase, match="not a SQLite database"):
        await identity_of(path)

    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "made_by", ["CREATE TABLE note (text)", "PRAGMA application_id = 7", "PRAGMA user_version = 1"]
)
async def test_a_database_of_another_kind_is_refused_untouched(tmp_path: Path, made_by: str) -> None:
    path = tmp_path / "notes.db"
    with opened(path) as connection:
        connection.execute(made_by)
    before = path.read_bytes()

    with pytest.raises(BadDatabase, match="not a log"):
        await identity_of(path)

    assert path.read_bytes() == before


async def test_a_log_made_by_newer_code_is_refused(log: Path) -> None:
    with opened(log) as connection:
        connection.execute("PRAGMA user_version = 1000")

    with pytest.raises(BadDatabase, match="schema version 1000, this code knows .*: upgrade"):
        await identity_of(log)


async def test_a_log_that_lost_a_table_is_refused(log: Path) -> None:
    with opened(log) as connection:
        connection.execute("DROP TABLE log")

    with pytest.raises(BadDatabase, match="no such table"):
        await identity_of(log)


async def test_a_folder_is_no_log(tmp_path: Path) -> None:
    with pytest.raises(BadDatabase, match="is a folder"):
        await identity_of(tmp_path)


async def test_a_file_is_no_folder(log: Path) -> None:
    with pytest.raises(BadDatabase, match="no folder for"):
        await identity_of(log / "log.db")


async def test_an_empty_file_becomes_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    path.touch()

    assert (await identity_of(path)).incarnation == 1
    with opened(path) as connection:
        assert connection.execute("PRAGMA application_id").get == APPLICATION_ID


async def test_a_log_opened_many_times_at_once_is_made_once(tmp_path: Path) -> None:
    identities = await asyncio.gather(*[identity_of(tmp_path / "log.db") for _ in range(12)])

    assert len(set(identities)) == 1


async def test_a_log_is_the_same_through_a_symbolic_link(log: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.db"
    link.symlink_to(log)

    async with open_sqlite(str(link)) as one, open_sqlite(str(log)) as other:
        await one.append(an_append(to("Order-1")))

        assert await everything(other) == await everything(one)


def test_a_write_connection_syncs_every_commit(tmp_path: Path) -> None:
    connection = connect_writer(str(tmp_path / "log.db"))

    prepare_writer(connection)

    settings = {name: connection.execute(f"PRAGMA {name}").get for name in ("journal_mode", "synchronous", "fullfsync")}
    assert settings == {"journal_mode": "wal", "synchronous": 2, "fullfsync": 1}
    connection.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET payload = x'7b7d'",
        "UPDATE event SET position = 9 WHERE position = 1",
        "DELETE FROM event",
        "DELETE FROM event WHERE position = 2",
        "INSERT OR REPLACE INTO event SELECT * FROM event",
        "INSERT OR REPLACE INTO event SELECT 9, 'Other-1', 'Other', 1, type, 1, id, payload, metadata, 0 FROM event",
        "INSERT OR REPLACE INTO event SELECT 9, stream, category, 1, type, 1, 'new', payload, metadata, 0 FROM event",
    ],
)
async def test_no_statement_changes_an_event(log: Path, statement: str) -> None:
    with opened(log) as connection:
        before = connection.execute("SELECT * FROM event").fetchall()

        with pytest.raises(apsw.ConstraintError, match="an event (never changes|is never (deleted|replaced))"):
            connection.execute(statement)

        assert connection.execute("SELECT * FROM event").fetchall() == before


def test_a_statement_is_not_prepared_again_for_each_value(tmp_path: Path) -> None:
    """SQLite does so where a plan might depend on a value; it was a quarter of a lone append's own work."""
    connections = [connect(str(tmp_path / "log.db")) for connect in (connect_writer, connect_reader)]

    assert [connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, -1) for connection in connections] == [1, 1]
    for connection in connections:
        connection.close()
