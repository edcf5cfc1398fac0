"""Streams and events, as a person and as a program see them."""

import asyncio
import signal
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from tests.cli.calling import DIPTYCH, lines, refused, told
from tests.serving import environment

from diptych.errors import NotFound
from diptych.log import open_store
from diptych.past import position_at
from diptych.store import open_store_backend
from diptych.store.port import Append, Store, StoredCommand, StoredEvent
from diptych.testing.conformance.case import a_command, an_append, event, to

DAY_US = 86_400_000_000
DAYS = datetime(2026, 1, 1, tzinfo=UTC)


def stored(position: int, stream: str, version: int, type: str, payload: str = "{}", *, day: int = 0) -> StoredEvent:
    recorded_at = int(DAYS.timestamp()) * 1_000_000 + day * DAY_US
    category = stream.partition("-")[0]
    return StoredEvent(
        position, stream, category, version, type, 1, f"id-{position}", payload.encode(), b"{}", recorded_at
    )


HISTORY = [
    stored(1, "Order-1", 1, "Placed", '{"customer":"[bold]Ann[/]"}'),
    stored(2, "Order-2", 1, "Placed", '{"customer":"Bob",\n"note":"Größe"}'),
    stored(5, "Invoice-1", 1, "Sent", '{"customer":"Ann"}', day=1),
    stored(6, "Order-1", 2, "Shipped", day=2),
]


async def put(url: str, events: Sequence[StoredEvent], commands: Sequence[StoredCommand] = ()) -> None:
    async with open_store_backend(url) as store:
        await store.put(events, commands)


@pytest.fixture(autouse=True)
def history(log: list[str]) -> None:
    asyncio.run(put(log[1], HISTORY))


def positions(*command: str) -> list[int]:
    return [each["position"] for each in lines(*command)]


def test_streams_are_listed(log: list[str]) -> None:
    listed = lines("streams", "list", *log)

    assert [(each["stream"], each["version"], each["began"], each["position"]) for each in listed] == [
        ("Order-1", 2, 1, 6),
        ("Order-2", 1, 2, 2),
        ("Invoice-1", 1, 5, 5),
    ]
    assert [each["stream"] for each in lines("streams", "list", *log, "--category", "Invoice")] == ["Invoice-1"]
    assert "--after 2" in told("streams", "list", *log, "--limit", "2")
    assert [each["stream"] for each in lines("streams", "list", *log, "--after", "2")] == ["Invoice-1"]


def test_a_long_name_comes_whole_on_a_line_where_it_is_piped_and_folded_where_a_width_is_said(
    log: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    name = "".join(f"{number:04}" for number in range(50))
    asyncio.run(put(log[1], [stored(9, f"{name}-1", 1, "Placed", f'{{"customer":"{name}"}}', day=3)]))
    assert any(f"{name}-1 " in line and f" {name} " in line for line in told("streams", "list", *log).splitlines())
    assert name in told("streams", "show", f"{name}-1", *log)

    monkeypatch.setenv("COLUMNS", "80")

    assert folded(told("streams", "list", *log, "--after", "6"))[:2] == [f"{name}-1", name]


def folded(table: str) -> list[str]:
    """The cells of the one row of a table, put together again."""
    rows = [line.strip("│").split("│") for line in table.splitlines() if line.startswith("│")]
    assert len(rows) > 1, "it does not fold"
    return ["".join(part.strip() for part in parts) for parts in zip(*rows, strict=True)]


def test_a_stream_is_shown_page_by_page(log: list[str]) -> None:
    assert [(each["version"], each["type"]) for each in lines("streams", "show", "Order-1", *log)] == [
        (1, "Placed"),
        (2, "Shipped"),
    ]
    assert "--after 1" in told("streams", "show", "Order-1", *log, "--limit", "1")
    assert positions("streams", "show", "Order-1", *log, "--after", "1") == [6]
    assert positions("streams", "show", "Order-1", *log, "--after", "2") == []


def test_a_stream_or_an_event_that_is_not_there_is_said_to_be(log: list[str]) -> None:
    assert isinstance(refused("streams", "show", "Order-9", *log), NotFound)
    assert str(refused("events", "show", "3", *log)).endswith("does not exist: positions have holes, and that is one")
    assert str(refused("events", "show", "999", *log)).endswith("999 does not exist: the log ends at position 6")


def test_an_event_is_shown_as_it_is_stored(log: list[str]) -> None:
    (shown,) = lines("events", "show", "2", *log)

    assert shown == {
        "position": 2,
        "stream": "Order-2",
        "category": "Order",
        "version": 1,
        "type": "Placed",
        "schema_version": 1,
        "id": "id-2",
        "recorded_at": "2026-01-01T00:00:00Z",
        "payload": {"customer": "Bob", "note": "Größe"},
        "metadata": {},
    }
    assert '"note": "Größe"' in told("events", "show", "2", *log)


def test_text_in_brackets_is_text(log: list[str]) -> None:
    assert "[bold]Ann[/]" in told("events", "show", "1", *log)
    assert "[bold]Ann[/]" in told("events", "search", "ann", *log)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ([], [1, 2, 5, 6]),
        (["ann"], [1, 5]),
        (["GRÖSSE"], [2]),
        (["id-6"], [6]),
        (["order-1"], [1, 6]),
        (["nowhere"], []),
        (["--type", "Placed"], [1, 2]),
        (["--type", "Placed", "--type", "Sent"], [1, 2, 5]),
        (["--category", "Order", "ann"], [1]),
        (["--since", "2026-01-01"], [1, 2, 5, 6]),
        (["--since", "2026-01-01T00:00:00.000001"], [5, 6]),
        (["--since", "2025-12-31"], [1, 2, 5, 6]),
        (["--until", "2026-01-02T00:00:00"], [1, 2, 5]),
        (["--until", "2026-01-02T00:00:00+01:00"], [1, 2]),
        (["--until", "2025-01-01"], []),
        (["--since", "1d"], []),
        (["--after", "2"], [5, 6]),
        (["--after", "2", "--limit", "1"], [5]),
        (["--since", "2026-01-01", "--after", "5"], [6]),
    ],
)
def test_events_are_searched_by_text_type_category_and_time(log: list[str], asked: list[str], found: list[int]) -> None:
    assert positions("events", "search", *asked, *log) == found


def test_a_search_that_ends_at_its_limit_says_how_to_go_on(log: list[str]) -> None:
    assert "--after 5" in told("events", "search", "ann", "--limit", "2", *log)
    assert "--after" not in told("events", "search", "ann", *log)


@pytest.mark.parametrize("option", ["--since", "--until"])
def test_a_time_that_is_none_is_a_wrong_use(log: list[str], option: str) -> None:
    assert "is no time" in told("events", "search", option, "soon", *log, code=2)


@pytest.mark.parametrize(
    "command", [["events", "search", "--since"], ["events", "search", "--until"], ["commands", "prune", "--older-than"]]
)
def test_a_time_before_all_dates_is_a_wrong_use(log: list[str], command: Sequence[str]) -> None:
    assert "is longer than dates go back" in told(*command, "999999w", *log, code=2)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ([], [1, 2, 5, 6]),
        (["--lines", "2"], [5, 6]),
        (["--lines", "0"], []),
        (["--lines", "1", "--type", "Placed"], [2]),
        (["--category", "Invoice"], [5]),
    ],
)
def test_the_last_events_are_shown(log: list[str], asked: list[str], found: list[int]) -> None:
    assert positions("events", "tail", "--no-follow", *asked, *log) == found


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
async def test_a_tail_goes_on_with_what_is_appended_until_it_is_told_to_stop(log: list[str], end: int) -> None:
    tail = await asyncio.create_subprocess_exec(
        *DIPTYCH, "events", "tail", "--lines", "1", "--type", "Shipped", "--json", *log,
        env=environment(), stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert (await line_of(tail))["position"] == 6
        async with open_store_backend(log[1]) as store:
            for _ in range(3):
                await append(store, "Other")
                shipped = await append(store, "Shipped")
                assert (await line_of(tail))["position"] == shipped
        tail.send_signal(end)
        assert await asyncio.wait_for(tail.wait(), 30) == 0
    finally:
        if tail.returncode is None:
            tail.kill()
            await tail.wait()


async def append(store: Store, type: str) -> int:
    return (await store.append(an_append(to("Order-7", event(type))))).position


async def line_of(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stdout is not None
    found: dict[str, Any] = msgspec.json.decode(await asyncio.wait_for(process.stdout.readline(), 60))
    return found


async def test_the_place_of_a_time_is_the_last_position_recorded_by_then(log: list[str]) -> None:
    async with open_store_backend(log[1]) as store:
        found = [
            await position_at(store, DAYS + timedelta(days=days, microseconds=more))
            for days in range(4)
            for more in (-1, 0, 1)
        ]
    assert found == [0, 2, 2, 2, 5, 5, 5, 6, 6, 6, 6, 6]


def test_old_commands_are_forgotten_and_young_ones_are_not(log: list[str]) -> None:
    old = StoredCommand("old", None, b"1", "", 0, 6, HISTORY[0].recorded_at)
    asyncio.run(put(log[1], [], [old]))
    asyncio.run(add_command(log[1]))

    assert lines("commands", "prune", "--older-than", "1h", *log) == [{"forgotten": 1}]
    assert lines("commands", "prune", "--older-than", "1h", *log) == [{"forgotten": 0}]
    assert asyncio.run(commands(log[1])) == ["young"]
    assert lines("commands", "prune", "--older-than", "0s", *log) == [{"forgotten": 1}]


async def add_command(url: str) -> None:
    async with open_store_backend(url) as store:
        await store.append(Append("young", (), a_command("young")))


async def commands(url: str) -> list[str]:
    async with open_store(url, ()) as event_store:
        return [command.id for command in await event_store.store.commands(limit=10)]


@pytest.mark.parametrize("age", ["", "90", "d", "-1d", "1y"])
def test_an_age_that_is_none_is_a_wrong_use(log: list[str], age: str) -> None:
    assert "is no stretch of time" in told("commands", "prune", f"--older-than={age}", *log, code=2)
