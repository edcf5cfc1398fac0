"""Read models are repaired, rebuilt and checked from a process beside the one that keeps them in step."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from tests.cli import shop
from tests.cli.calling import APP, DIPTYCH, diptych, eventually, lines, refused, sqlite, told
from tests.cli.shop import Counted
from tests.serving import environment
from typer.testing import CliRunner

from diptych.edge.cli.commands import cli
from diptych.errors import Misuse, NoProjection, NotFound, NotKept, NotStopped, RebuildRefused
from diptych.log import open_store

SHOP = ["--app", "tests.cli.shop:app"]


@pytest.fixture(autouse=True)
def mended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that says that the shop's code was mended."""
    monkeypatch.setenv(shop.MENDED, str(tmp_path / "mended"))
    return tmp_path / "mended"


@contextmanager
def worker(urls: list[str]) -> Iterator[None]:
    """A process that keeps the shop's projections in step."""
    process = subprocess.Popen(
        [*DIPTYCH, "worker", *SHOP, *urls], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"following with stock, tally\n"
        yield
    finally:
        process.terminate()
        process.communicate()


def count(urls: list[str], *counts: int, product: str = "lamp") -> int:
    """Count a product; the last position."""

    async def append() -> int:
        async with open_store(urls[1], shop.app.events) as event_store:
            events = [Counted(product=product, count=number) for number in counts]
            return (
                await event_store.append_events(stream_id=product.capitalize(), stream_type="Shop", events=events)
            ).position

    return asyncio.run(append())


def status(urls: list[str], name: str) -> dict[str, Any]:
    """What is told of what a projection serves."""
    printed = CliRunner().invoke(cli, ["status", *SHOP, *urls, "--json"]).output.splitlines()
    found = [msgspec.json.decode(line) for line in printed]
    return next((each for each in found if each["name"] == name and each["served"]), {"checkpoint": 0, "state": ""})


def reaches(urls: list[str], position: int, *names: str) -> None:
    """Return when projections have applied everything up to a position."""
    eventually(lambda: all(status(urls, name)["checkpoint"] >= position for name in names), "it does not follow")


def is_in(urls: list[str], name: str, state: str) -> None:
    eventually(lambda: status(urls, name)["state"] == state, f"it is not {state}")


def stock(urls: list[str]) -> list[tuple[str, int]]:
    """The rows that are kept, in whichever table is there."""
    with sqlite(urls[3]) as read:
        return list(read.execute("SELECT product, count FROM stock_v1"))


def test_the_projections_of_an_application_are_listed_with_their_states(urls: list[str]) -> None:
    of_both = {"version": 1, "kind": "table", "handles": ["Counted"]}
    told("init", *SHOP, *urls)
    assert [each["state"] for each in lines("projections", "list", *SHOP, *urls)] == ["not built", "not built"]

    with worker(urls):
        reaches(urls, count(urls, 1), "stock", "tally")
        count(urls, -1)
        is_in(urls, "stock", "faulted")
        reaches(urls, 2, "tally")

        assert lines("projections", "list", *SHOP, *urls) == [
            {"name": "stock", **of_both, "state": "faulted"},
            {"name": "tally", **of_both, "state": "running"},
        ]
        assert "faulted" in told("projections", "list", *SHOP, *urls)


def test_a_reaction_is_listed_as_one(urls: list[str]) -> None:
    told("init", *APP, *urls)

    kinds = {each["name"]: each["kind"] for each in lines("projections", "list", *APP, *urls)}

    assert (kinds["orders"], kinds["mail_on_shipping"]) == ("table", "reaction")


@pytest.mark.parametrize("url", ["sqlite:////nowhere/read.db", "postgresql://127.0.0.1:1/shop", "nonsense"])
def test_projections_are_listed_without_their_states_where_no_database_is(urls: list[str], url: str) -> None:
    told("init", *SHOP, *urls)

    listed = CliRunner().invoke(cli, ["projections", "list", *SHOP, *urls[:2], "--read", url, "--json"])

    assert listed.exit_code == 0
    assert [msgspec.json.decode(line)["state"] for line in listed.stdout.splitlines()] == [None, None]
    assert listed.stderr.startswith("no states are told: ")
    assert "tally" in told("projections", "list", *SHOP, *urls[:2], "--read", url)


def test_what_stopped_is_found_mended_and_seen_to_run_on(urls: list[str], mended: Path) -> None:
    count(urls, 1, 2)
    told("init", *SHOP, *urls)
    with worker(urls):
        reaches(urls, 2, "stock", "tally")
        poison = count(urls, -1)
        behind = count(urls, 4)
        is_in(urls, "stock", "faulted")
        reaches(urls, behind, "tally")

        found = status(urls, "stock")
        assert (found["error_position"], "-1 of lamp" in found["error"]) == (poison, True)
        assert "ValueError: -1 of lamp" in " ".join(told("status", *SHOP, *urls, code=1).split())
        assert stock(urls) == [("lamp", 2)]

        mended.touch()
        told("projections", "retry", "stock", *SHOP, *urls)
        reaches(urls, behind, "stock")
        assert stock(urls) == [("lamp", 4)]
        told("status", *SHOP, *urls)


def test_what_can_not_be_mended_is_skipped_for_a_reason_that_is_kept(urls: list[str]) -> None:
    told("init", *SHOP, *urls)
    with worker(urls):
        poison = count(urls, 1, -1)
        behind = count(urls, 4)
        is_in(urls, "stock", "faulted")

        told("projections", "skip", "stock", *SHOP, *urls, code=2)  # without a reason
        for blank in ("", "  "):
            assert "it is blank" in told("projections", "skip", "stock", "--reason", blank, *SHOP, *urls, code=2)
        skipped = told("projections", "skip", "stock", "--reason", "miscounted [42]", *SHOP, *urls)
        assert f"goes on behind Counted at {poison}:" in " ".join(skipped.split())
        reaches(urls, behind, "stock")

    (act,) = lines("projections", "acts", *SHOP, *urls)
    assert (act["projection"], act["act"], act["position"], act["reason"]) == (
        "stock",
        "skip",
        poison,
        "miscounted [42]",
    )
    assert "miscounted" in told("projections", "acts", *SHOP, *urls)


def test_all_that_is_parked_is_tried_again_and_recorded_with_its_whole_keys(
    urls: list[str], mended: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(shop.PARKS, "yes")
    told("init", *SHOP, *urls)
    long = "lantern" * 20
    with worker(urls):
        reaches(urls, max(count(urls, -1), count(urls, -2, product=long)), "stock", "tally")
        assert [each["key"] for each in status(urls, "stock")["parked"]] == ["lamp", long]
        both = told("projections", "retry", "stock", "--all", "--key", "lamp", *SHOP, *urls, code=2)
        assert "--all is every key" in " ".join(both.replace("│", " ").split())

        mended.touch()
        told("projections", "retry", "stock", "--all", *SHOP, *urls)
        eventually(lambda: not status(urls, "stock")["parked"], "it stays parked")

    assert sorted(stock(urls)) == [("lamp", -1), (long, -2)]
    assert [(each["act"], each["key"]) for each in lines("projections", "acts", *SHOP, *urls)] == [
        ("retry", long),
        ("retry", "lamp"),
    ]
    assert f" {long} " in told("projections", "acts", *SHOP, *urls)
    nothing = refused("projections", "retry", "stock", "--all", *SHOP, *urls)
    assert isinstance(nothing, NotFound)
    assert str(nothing) == "projection 'stock' has nothing parked: see its status"


def test_a_version_that_no_code_runs_any_more_is_named_and_dropped(
    urls: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    told("init", *SHOP, *urls)
    with worker(urls):
        reaches(urls, count(urls, 1), "stock", "tally")
    drop = ("projections", "drop", "stock", "--version", "1", *SHOP, *urls)
    assert isinstance(refused(*drop), Misuse)
    assert "is kept, older" not in told("doctor", *SHOP, *urls)

    monkeypatch.setattr(shop.Stock, "version", 2)
    (left,) = [each for each in lines("doctor", *SHOP, *urls) if "is kept" in each["what"]]
    assert left["what"] == "version 1 of stock is kept, older than this code's, and no worker runs it"
    assert "diptych projections drop stock --version 1" in left["cure"]

    (done,) = lines(*drop)
    assert done["projection"] == "stock"
    with sqlite(urls[3]) as read:
        tables = [name for (name,) in read.execute("SELECT name FROM sqlite_schema WHERE name LIKE 'stock_%'")]
    assert tables == []
    assert isinstance(refused(*drop), NotFound)


def test_a_projection_is_paused_and_goes_on(urls: list[str]) -> None:
    told("init", *SHOP, *urls)
    with worker(urls):
        reaches(urls, count(urls, 1), "stock", "tally")
        (paused,) = lines("projections", "pause", "stock", *SHOP, *urls)
        assert paused["projection"] == "stock"
        is_in(urls, "stock", "paused")
        second = count(urls, 2)
        reaches(urls, second, "tally")
        assert stock(urls) == [("lamp", 1)]

        told("projections", "resume", "stock", *SHOP, *urls)
        reaches(urls, second, "stock")


def test_a_row_that_differs_is_found_rebuilt_and_switched_back(urls: list[str]) -> None:
    told("init", *SHOP, *urls)
    with worker(urls):
        reaches(urls, count(urls, 1, 2, 3), "stock", "tally")
        (well,) = lines("projections", "verify", "stock", *SHOP, *urls)
        assert (well["rows"], well["different"], well["first"]) == (1, 0, [])
        with sqlite(urls[3]) as read:
            read.execute("UPDATE stock_v1 SET count = 99")

        (found,) = lines("projections", "verify", "stock", *SHOP, *urls, code=1)
        assert (found["different"], "99" in found["first"][0]) == (1, True)
        assert isinstance(refused("projections", "rebuild", "stock", "--before-switch", *SHOP, *urls), RebuildRefused)
        assert lines("projections", "verify", "stock", *SHOP, *urls, code=1)[0]["different"] == 1

        (rebuilt,) = lines("projections", "rebuild", "stock", *SHOP, *urls)
        way = "diptych projections switch-back stock takes that back, to 1.1"
        assert rebuilt["told"] == f"is served anew, from 1.2: {way}"
        assert lines("projections", "verify", "stock", *SHOP, *urls)[0]["different"] == 0
        (back,) = lines("projections", "switch-back", "stock", *SHOP, *urls)
        assert back == {"projection": "stock", "told": "is served as before the last switch, from 1.1"}
        assert lines("projections", "verify", "stock", *SHOP, *urls, code=1)[0]["different"] == 1


def test_a_rebuild_tells_of_no_way_back_where_there_is_none(urls: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told("init", *SHOP, *urls)
    with worker(urls):
        reaches(urls, count(urls, 1), "stock", "tally")
    monkeypatch.setattr(shop.Stock, "version", 2)

    (first,) = lines("projections", "rebuild", "stock", *SHOP, *urls)
    assert first["told"] == "is served in version 2 for the first time, from 2.1"
    assert isinstance(refused("projections", "switch-back", "stock", *SHOP, *urls), NotKept)

    (second,) = lines("projections", "rebuild", "stock", "--keep", "0s", *SHOP, *urls)
    assert second["told"] == "is served anew, from 2.2; nothing that was served before is kept"
    assert isinstance(refused("projections", "switch-back", "stock", *SHOP, *urls), NotKept)


@pytest.mark.parametrize("command", ["verify", "rebuild"])
def test_an_event_that_was_skipped_and_fails_still_is_named_in_one_line(
    urls: list[str], mended: Path, command: str
) -> None:
    told("init", *SHOP, *urls)
    with worker(urls):
        poison = count(urls, 1, -1)
        is_in(urls, "stock", "faulted")
        told("projections", "skip", "stock", "--reason", "miscounted", *SHOP, *urls)
        reaches(urls, count(urls, 4), "stock")

    found = diptych("projections", command, "stock", *SHOP, *urls, **{shop.MENDED: str(mended)})

    assert (found.returncode, len(found.stderr.splitlines())) == (1, 1), found.stderr
    where = f"EventFailed: projection 'stock' fails at event 'Counted' at position {poison}: ValueError: -1 of lamp"
    assert found.stderr.startswith(where)
    assert f"a likely reason: the event at position {poison} was skipped by " in found.stderr
    assert found.stderr.endswith(" UTC: miscounted\n")
    assert stock(urls) == [("lamp", 4)]


def test_a_row_that_lacks_a_skipped_event_is_told_with_who_skipped_it_and_why(urls: list[str], mended: Path) -> None:
    told("init", *SHOP, *urls)
    with worker(urls):
        poison = count(urls, 1, -1)
        is_in(urls, "stock", "faulted")
        told("projections", "skip", "stock", "--reason", "miscounted", *SHOP, *urls)
        reaches(urls, poison, "stock")
    mended.touch()

    (found,) = lines("projections", "verify", "stock", *SHOP, *urls, code=1)

    assert [(act["position"], act["reason"]) for act in found["skipped"]] == [(poison, "miscounted")]
    shown = told("projections", "verify", "stock", *SHOP, *urls, code=1)
    assert f"the event at position {poison} was skipped by {found['skipped'][0]['by']}, " in shown
    assert "UTC: miscounted" in shown


def test_there_is_nothing_to_cancel_or_to_retry(urls: list[str]) -> None:
    told("init", *SHOP, *urls)
    with worker(urls):
        reaches(urls, count(urls, 1), "stock", "tally")

    assert "is not being rebuilt" in told("projections", "cancel", "stock", *SHOP, *urls, code=1)
    assert isinstance(refused("projections", "retry", "stock", *SHOP, *urls), NotStopped)
    assert isinstance(refused("projections", "retry", "stock", "--key", "lamp", *SHOP, *urls), NotFound)
    assert isinstance(refused("projections", "switch-back", "stock", *SHOP, *urls), NotKept)


@pytest.mark.parametrize("command", ["pause", "resume", "retry", "rebuild", "cancel", "switch-back", "verify"])
def test_a_projection_that_nobody_knows_is_named(urls: list[str], command: str) -> None:
    told("init", *SHOP, *urls)

    assert isinstance(refused("projections", command, "nothing", *SHOP, *urls), NoProjection)
