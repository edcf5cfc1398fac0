"""A database that earlier code made is brought up to date, and loses nothing."""

from pathlib import Path

import pytest
from sqlalchemy import text

from diptych.errors import BadDatabase
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Generation, Plan
from diptych.read.db import database
from diptych.read.db.database import ReadDatabase
from diptych.store.port import LogIdentity
from diptych.testing.conformance.read_case import ReadDatabaseCase

OF_SCHEMA_1 = """
INSERT INTO diptych_checkpoint
    (projection, version, generation, position, event_id, log_id, incarnation, epoch, owner, lease_until,
     state, error, error_position, since, tables, code)
VALUES ('p', 2, 3, 40, 'e', 'log', 5, 6, 'somebody', 7, 'faulted', 'a bug', 41, 8, '{"t": {"a": "text"}}', 'c')
"""


class Migrating(ReadDatabaseCase):
    """Schemas are numbered, and each is brought to the next."""

    async def test_a_database_of_schema_1_is_brought_up_to_date_with_what_it_holds(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "SCHEMA_VERSION", 1)
        monkeypatch.setattr(database, "_secret", no_secret)
        async with self.open_read_db(tmp_path) as read_db, read_db.begin() as connection:
            await connection.execute(text(OF_SCHEMA_1.replace(":", r"\:")))
            await checkpoint.serve_first(connection, Generation("p", 2, 3))
        monkeypatch.undo()

        async with self.open_read_db(tmp_path) as read_db, read_db.begin() as connection:
            [found] = await checkpoint.all_of(connection)
            plan = await checkpoint.plan(connection, found.of)
            added = await checkpoint.add(connection, found.of, found.log, Plan("{}", ""), partition=1)
            secret = read_db.secret
        async with self.open_read_db(tmp_path) as read_db:
            assert read_db.secret == secret

        assert (found.of, found.position, found.event_id) == (Generation("p", 2, 3), 40, "e")
        assert (found.log, found.epoch, found.owner) == (LogIdentity("log", 5), 6, "somebody")
        assert (found.state, found.error, found.error_position, found.since) == ("faulted", "a bug", 41, 8)
        assert (found.served, found.partition, found.paused, found.parked_at) == (True, 0, False, None)
        assert plan == Plan('{"t": {"a": "text"}}', "c")
        assert added

    async def test_a_database_of_newer_code_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        async with self.open_read_db(tmp_path):
            pass
        monkeypatch.setattr(database, "SCHEMA_VERSION", 1)

        with pytest.raises(BadDatabase, match=r"has schema \d+, this code knows 1: use newer code with it"):
            async with self.open_read_db(tmp_path):
                pass


async def no_secret(read_db: ReadDatabase) -> str:
    """What earlier code knew of a secret."""
    return "none"
