"""The command line, as a person and as a program use it."""

import asyncio
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli.calling import APP, DIPTYCH, diptych, lines, refused, sqlite, told
from tests.faults.test_cancellation import place
from tests.faults.waiting import until
from tests.serving import environment

from diptych.log import open_store
from orders.app import app
from orders.events import OrderShipped


async def an_order(urls: list[str]) -> None:
    async with app.open(urls[1], urls[3]) as running:
        await place(running, "a")
        await running.caught_up()


def test_init_makes_both_databases_and_keeps_what_is_there(urls: list[str]) -> None:
    first = msgspec.json.decode(told("init", *APP, *urls, "--json"))

    assert first == msgspec.json.decode(told("init", *APP, *urls, "--json"))
    assert (first["incarnation"], first["head"]) == (1, 0)
    assert (first["log_url"], first["read_url"]) == (urls[1], urls[3])
    assert first["log"] in told("init", *APP, *urls)


def test_status_tells_how_each_projection_is_doing(urls: list[str]) -> None:
    asyncio.run(an_order(urls))

    statuses = lines("status", *APP, *urls)

    assert {each["name"]: (each["state"], each["served"]) for each in statuses} == {
        "orders": ("running", True),
        "history": ("running", True),
        "sales_by_day": ("running", True),
        "mail_on_shipping": ("running", True),
    }
    assert "sales_by_day" in told("status", *APP, *urls)


def test_status_is_told_without_the_log_too(urls: list[str]) -> None:
    asyncio.run(an_order(urls))

    statuses = lines("status", *APP, "--log", "none", *urls[2:])

    assert {each["name"] for each in statuses} >= {"orders", "history", "sales_by_day"}
    assert {each["checkpoint"] for each in statuses} == {1}


def test_status_fails_where_a_projection_stands_still(urls: list[str]) -> None:
    asyncio.run(an_order(urls))
    with sqlite(urls[3]) as read:
        read.execute("UPDATE diptych_checkpoint SET state = 'faulted', error = 'a bug', since = 1")

    assert "a bug" in told("status", *APP, *urls, "--json", code=1)
    assert "faulted" in told("status", *APP, *urls, code=1)


def test_status_fails_where_events_are_to_go_and_nobody_owns_a_projection(urls: list[str]) -> None:
    asyncio.run(an_order(urls))
    with sqlite(urls[3]) as read:
        read.execute("UPDATE diptych_checkpoint SET owner = NULL, lease_until = 1")
    assert "no owner" in told("status", *APP, *urls)  # nothing is to go

    asyncio.run(shipped(urls[1]))

    assert {(each["state"], each["lag_events"]) for each in lines("status", *APP, *urls, code=1)} == {("no owner", 1)}


def test_status_tells_what_is_declared_and_not_built(urls: list[str]) -> None:
    told("init", *APP, *urls)
    assert {each["state"] for each in lines("status", *APP, *urls)} == {"not built"}

    asyncio.run(shipped(urls[1]))

    assert {(each["state"], each["lag_events"]) for each in lines("status", *APP, *urls, code=1)} == {("not built", 1)}
    shown = " ".join(told("status", *APP, *urls, code=1).split())
    assert "orders 1 is not built: a worker or server that runs this code builds it" in shown


async def shipped(log: str) -> None:
    async with open_store(log, app.events) as event_store:
        events = [OrderShipped(order_id="x", shipped_on=date(2026, 1, 1))]
        await event_store.append_events(stream_id="Order-x", stream_type="Order", events=events)


def test_a_log_that_was_put_back_gets_its_new_identity(urls: list[str]) -> None:
    asyncio.run(an_order(urls))

    restored = msgspec.json.decode(told("log", "restored", *urls, "--json"))
    adopted = msgspec.json.decode(told("log", "adopt", *urls, "--json"))

    assert (restored["incarnation"], adopted["incarnation"]) == (2, 1)
    kept = ["history 1.1", "mail_on_shipping 1.1", "orders 1.1", "sales_by_day 1.1"]
    assert restored["kept"] == adopted["kept"] == kept
    assert restored["log"] != adopted["log"]


def test_a_schema_is_locked_and_checked_against_the_log_too(urls: list[str], tmp_path: Path) -> None:
    asyncio.run(an_order(urls))
    lock = str(tmp_path / "events.lock.json")
    (locked,) = lines("schema", "lock", *APP, lock)
    assert (locked["file"], locked["events"][0]) == (lock, "ItemAdded 2")
    assert "OrderPlaced 1" in told("schema", "lock", *APP, lock)

    assert msgspec.json.decode(told("schema", "check", *APP, lock, *urls[:2], "--json")) == {"OrderPlaced 1": 1}

    Path(lock).write_text(Path(lock).read_text().replace('"OrderShipped"', '"OrderSent"'))
    done = diptych("schema", "check", *APP, lock)
    assert done.returncode == 1
    assert "SchemaChanged: " in done.stderr
    assert "OrderSent is gone" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("text", "why"), [(None, "No such file or directory"), ("no lock", "is no lock"), ("1", "is no lock")]
)
def test_a_schema_lock_that_is_none_is_told_in_one_line_with_its_cure(
    tmp_path: Path, text: str | None, why: str
) -> None:
    if text is not None:
        (tmp_path / "events.lock.json").write_text(text)

    done = diptych("schema", "check", *APP, str(tmp_path / "events.lock.json"))

    assert done.returncode == 1
    assert done.stderr.startswith("BadFile: ")
    assert f"{tmp_path}/events.lock.json" in done.stderr
    assert why in done.stderr
    assert "`diptych schema lock`" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_settings_are_shown_with_where_they_come_from_and_without_passwords() -> None:
    shown = diptych(
        "config", "show", *APP, "--json", DIPTYCH_LOG_URL="postgresql://ann:secret@host/shop", DIPTYCH_READ_URL=""
    )

    assert msgspec.json.decode(shown.stdout) == {
        "app": {"value": "orders.app:app", "from": "commandline"},
        "log": {"value": "postgresql://ann@host/shop", "from": "environment"},
        "read": {"value": "sqlite:///data/read.db", "from": "default"},
    }


@pytest.mark.parametrize(
    ("app", "why"),
    [
        ("orders", "names no application"),
        ("nowhere:app", "no module 'nowhere' here"),
        ("orders.app:nothing", "has no 'nothing'"),
        ("orders.app:ROUTES", "is a dict, not a Diptych application"),
    ],
)
def test_an_application_that_is_none_is_a_wrong_use(app: str, why: str, urls: list[str]) -> None:
    assert why in " ".join(told("status", "--app", app, *urls, code=2).replace("│", " ").split())


@pytest.mark.parametrize(
    ("code", "line", "why"),
    [
        ("import json\n\nlimit = json.loads('{')\n", 3, "JSONDecodeError: Expecting property name"),
        ("def f():\n    raise AttributeError('no f')\nf()\n", 2, "AttributeError: no f"),
        ("x = 1\nimport absent_module\n", 2, "ModuleNotFoundError: No module named 'absent_module'"),
        ("from diptych import Diptych\nx = (\n", 2, "SyntaxError: "),
        ("from diptych import Diptych\napp = Diptych(\n    projections=[int])\n", 2, "AttributeError: "),
    ],
)
def test_an_application_that_can_not_be_imported_is_told_in_one_line(
    tmp_path: Path, code: str, line: int, why: str
) -> None:
    (tmp_path / "broken.py").write_text(code)

    done = subprocess.run(
        [*DIPTYCH, "status", "--app", "broken:app"],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.startswith(f"Misuse: module 'broken' can't be imported, {tmp_path}/broken.py:{line}: {why}")
    assert len(done.stderr.splitlines()) == 1


def test_a_database_that_is_none_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)

    done = diptych("status", *APP, "--log", f"sqlite:///{tmp_path}/text", "--read", f"sqlite:///{tmp_path}/read.db")

    assert done.returncode == 1
    assert done.stderr.startswith("BadDatabase: ")
    assert len(done.stderr.splitlines()) == 1


def test_a_look_makes_nothing(tmp_path: Path) -> None:
    log = f"sqlite:///{tmp_path}/log.db"
    for command in (["status", *APP, "--log", log], ["log", "restored", "--log", log], ["log", "adopt", "--log", log]):
        done = diptych(*command)
        assert done.returncode == 1
        assert f"nothing is at {tmp_path}/log.db" in done.stderr
    assert not list(tmp_path.iterdir())


def test_a_default_place_is_said_to_be_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIPTYCH_LOG_URL", raising=False)

    why = str(refused("status", *APP))

    assert f"nothing is at {tmp_path}/data/log.db, the default where none was named" in why
    assert "--log or DIPTYCH_LOG_URL" in why


async def test_a_worker_follows_what_others_append_until_it_is_told_to_stop(urls: list[str]) -> None:
    async with open_store(urls[1], app.events) as event_store:
        worker = await asyncio.create_subprocess_exec(
            *DIPTYCH, "worker", *APP, *urls, env=environment(), stdout=subprocess.PIPE
        )
        try:
            assert worker.stdout is not None
            following = b"following with orders, history, sales_by_day, mail_on_shipping\n"
            assert await worker.stdout.readline() == following
            shipped = [OrderShipped(order_id="x", shipped_on=date(2026, 1, 1))]
            await event_store.append_events(stream_id="Order-x", stream_type="Order", events=shipped)
            await until(lambda: all(each["checkpoint"] == 1 for each in statuses(urls)), "it doesn't follow")
            assert {f"/{worker.pid}/" in each["owner"] for each in statuses(urls)} == {True}

            worker.terminate()
            assert await asyncio.wait_for(worker.wait(), 30) == 0
            assert {each["owner"] for each in statuses(urls)} == {None}
        finally:
            if worker.returncode is None:
                worker.kill()
                await worker.wait()


def statuses(urls: list[str]) -> list[dict[str, Any]]:
    """What `status` says, from a process of its own."""
    printed = diptych("status", *APP, *urls, "--json").stdout
    return [msgspec.json.decode(line) for line in printed.splitlines()]
