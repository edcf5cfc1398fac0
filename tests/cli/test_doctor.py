"""The doctor names what is wrong, who is to blame and what cures it, and leaves what is well alone."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from tests.cli.calling import APP, diptych, lines, sqlite, told
from tests.clusters import Cluster
from tests.serving import environment

from diptych.doctor import diagnose
from diptych.log import open_store
from diptych.store.finding import Finding, Severity
from diptych.store.postgres import health
from diptych.store.sqlite import health as health_of_files
from orders.app import app

HOLD = """
import apsw, sys
connection = apsw.Connection(sys.argv[1])
connection.execute(sys.argv[2]).fetchall()
connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
print("held", flush=True)
sys.stdin.read()
"""


def bad(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(each["severity"], each["about"]) for each in found if each["severity"] != "ok"]


@pytest.fixture
def made(urls: list[str]) -> list[str]:
    async def make() -> None:
        async with app.open(urls[1], urls[3]) as running:
            await running.caught_up()

    asyncio.run(make())
    return urls


def test_what_is_well_is_told_and_ends_well(made: list[str]) -> None:
    found = lines("doctor", *APP, *made)

    assert bad(found) == []
    assert {"versions", "server", "log", "read database", "identity", "projection"} == {each["about"] for each in found}
    assert "schema version" in told("doctor", *made)


def test_a_database_that_is_not_there_is_not_made(urls: list[str], tmp_path: Path) -> None:
    found = lines("doctor", *urls, code=1)

    assert bad(found) == [("problem", "log"), ("problem", "read database")]
    assert {each["cure"] for each in found if each["severity"] == "problem"} == {
        "make it: diptych init; or name another"
    }
    assert list(tmp_path.iterdir()) == []


def test_one_file_for_both_and_a_file_of_something_else_are_problems(made: list[str]) -> None:
    assert ("problem", "settings") in bad(lines("doctor", "--log", made[1], "--read", made[1], code=1))
    exchanged = lines("doctor", "--log", made[3], "--read", made[1], code=1)
    assert bad(exchanged) == [("problem", "log"), ("problem", "read database")]


def test_a_schema_of_newer_code_is_a_problem_and_an_older_one_a_warning(made: list[str]) -> None:
    with sqlite(made[1]) as log, sqlite(made[3]) as read:
        log.execute("PRAGMA user_version = 99")
        read.execute("PRAGMA user_version = 1")

    assert bad(lines("doctor", *made, code=1)) == [("problem", "log"), ("warning", "read database")]


def test_read_models_of_another_log_are_a_problem(made: list[str], tmp_path: Path) -> None:
    async def another() -> None:
        async with open_store(f"sqlite:///{tmp_path}/other.db", ()):
            pass

    asyncio.run(another())

    found = lines("doctor", "--log", f"sqlite:///{tmp_path}/other.db", *made[2:], code=1)

    assert bad(found) == [("problem", "checkpoint")] * len(app.projections)
    assert "log_restored" in found[-1]["cure"]


def test_a_projection_that_stands_still_is_a_problem(made: list[str]) -> None:
    with sqlite(made[3]) as read:
        read.execute("UPDATE diptych_checkpoint SET state = 'faulted', error = 'a bug' WHERE projection = 'orders'")

    found = lines("doctor", *APP, *made, code=1)

    assert bad(found) == [("problem", "projection")]
    assert any("a bug" in each["what"] and "retry orders" in each["cure"] for each in found)


def test_a_projection_that_is_paused_is_told_with_how_it_goes_on(made: list[str]) -> None:
    told("projections", "pause", "orders", *APP, *made)

    found = lines("doctor", *APP, *made)

    assert bad(found) == [("warning", "projection")]
    assert "diptych projections resume orders" in [each["cure"].removeprefix("let it go on: ") for each in found]


def test_a_text_file_is_told_with_its_cure(urls: list[str], tmp_path: Path) -> None:
    (tmp_path / "log.db").write_text("no database" * 100)

    (log,) = [each for each in lines("doctor", *urls, code=1) if each["about"] == "log"]

    assert "is not a SQLite database" in log["what"]
    assert log["cure"] == "name another file for the log"


@contextmanager
def holding(url: str, statement: str) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has begun something in a file of SQLite."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, url.removeprefix("sqlite:///"), statement],
        env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.communicate()


def test_who_holds_a_file_for_writing_is_named(made: list[str]) -> None:
    with holding(made[1], "BEGIN IMMEDIATE") as process:
        found = lines("doctor", *made, code=1)

    assert bad(found) == [("problem", "blocked")]
    named = next(each["what"] for each in found if each["about"] == "blocked")
    if Path("/proc/locks").exists():
        assert f"process {process.pid} (" in named
    assert bad(lines("doctor", *made)) == []


def test_who_lets_a_wal_grow_is_named(made: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_of_files, "WAL_BYTES", 0)
    with holding(made[1], "BEGIN") as process, sqlite(made[1]) as log:
        log.execute("PRAGMA user_version = 1")
        found = lines("doctor", *made)

    assert ("warning", "transaction") in bad(found)
    named = next(each["what"] for each in found if each["about"] == "transaction")
    if Path("/proc/locks").exists():
        assert f"process {process.pid} (" in named


# PostgreSQL


@pytest.fixture
async def server(postgres: Callable[[int], str]) -> str:
    """A schema with an application in it."""
    url = postgres(18)
    async with app.open(url, url) as running:
        await running.caught_up()
    return url


@asynccontextmanager
async def transaction(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url, server_settings={"application_name": "intruder"})
    try:
        await connection.execute("BEGIN")
        yield connection
    finally:
        await connection.close()


def problems(found: list[Finding]) -> list[tuple[str, str]]:
    return [(each.about, f"{each.what} {each.cure}") for each in found if each.severity is not Severity.OK]


async def test_a_server_that_is_well_is_told_once(server: str) -> None:
    found = await diagnose(server, server, app.projections)

    assert problems(found) == []
    assert [each.about for each in found].count("server") == 1


async def test_who_holds_the_order_lock_and_who_waits_for_it_are_named(
    server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "HELD_S", 0.0)
    monkeypatch.setattr(health, "WAITED_S", 0.0)
    lock = "SELECT pg_advisory_xact_lock(1147761780, ('diptych_event'::regclass::oid::bigint - 2147483648)::integer)"
    async with transaction(server) as holder, transaction(server) as waiter:
        await holder.execute(lock)
        waiting = asyncio.create_task(waiter.execute(lock))
        pids = holder.get_server_pid(), waiter.get_server_pid()
        async with asyncio.timeout(60):
            while not (found := dict(problems(await diagnose(server, server)))).get("blocked"):
                await asyncio.sleep(0.05)
        waiting.cancel()
        await asyncio.wait([waiting])

    assert f"process {pids[1]} (intruder) has waited" in found["blocked"]
    assert f"for process {pids[0]} (intruder, idle in transaction)" in found["blocked"]
    assert f"pg_terminate_backend({pids[0]})" in found["blocked"]
    assert f"process {pids[0]} (intruder, idle in transaction)" in found["order lock"]


async def test_transactions_that_are_old_or_prepared_are_named(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "OLD_S", 0.0)
    async with transaction(server) as old, transaction(server) as prepared:
        await old.execute("SELECT count(*) FROM diptych_event")
        await prepared.execute("LOCK TABLE diptych_command; PREPARE TRANSACTION 'forgotten'")
        try:
            found = dict(problems(await diagnose(server, server)))
        finally:
            await prepared.execute("ROLLBACK PREPARED 'forgotten'")

    assert f"process {old.get_server_pid()} (intruder, idle in transaction)" in found["transaction"]
    assert "SELECT count(*) FROM diptych_event" in found["transaction"]
    assert "ROLLBACK PREPARED 'forgotten'" in found["prepared"]


async def test_settings_that_lose_or_refuse_appends_are_problems(server: str) -> None:
    serializable = f"{server}&options=-c%20default_transaction_isolation%3Dserializable"

    assert [about for about, _ in problems(await diagnose(serializable, server))] == ["settings"]


async def test_a_server_that_can_lose_what_it_acknowledged_is_a_problem_unless_that_is_meant() -> None:
    cluster = Cluster(18, settings={"fsync": "off"})
    cluster.make()
    cluster.start()
    try:
        found = await diagnose(cluster.url(), cluster.url())
        meant = await diagnose(f"{cluster.url()}?unsafe=true", cluster.url())
    finally:
        cluster.remove()

    (lost,) = [each for each in found if each.about == "settings"]
    assert (lost.severity, lost.cure) == (Severity.PROBLEM, "set fsync=on")
    assert [each.severity for each in meant if each.about == "settings"] == [Severity.WARNING, Severity.PROBLEM]


async def test_a_server_without_the_tables_gets_none(postgres: Callable[[int], str]) -> None:
    url = postgres(18)

    assert [about for about, _ in problems(await diagnose(url, url))] == ["log", "read database"]
    connection = await asyncpg.connect(url)
    assert await connection.fetchval("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema()") == 0
    await connection.close()


def test_a_server_that_is_away_is_a_problem(made: list[str]) -> None:
    done = diptych("doctor", "--log", "postgresql://nobody@127.0.0.1:1/none", *made[2:], "--json")

    assert done.returncode == 1
    assert '"try again"' in done.stdout
