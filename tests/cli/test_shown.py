"""What is printed for a person never steers the terminal, whatever was written into the log."""

import asyncio
import os
import subprocess
import unicodedata
from collections.abc import Sequence

import msgspec
import pytest
from tests.cli.calling import APP, DIPTYCH, diptych, refused, told
from tests.serving import environment

from diptych.edge.cli.printing import shown
from diptych.store import open_store_backend
from diptych.store.port import StoredEvent

STEERING = "O\x1b[2J\n\u202ed\x9b\u200f\u2028"
AT = 1_767_225_600_123_456
TIME = "2026-01-01 00:00:00.123456"
EVENTS = [
    StoredEvent(
        1, f"{STEERING}-1", STEERING, 1, STEERING, 1, STEERING, '{"a":"日\x7f\u202e😀é"}'.encode(), b"no json\x1b", AT
    ),
    StoredEvent(2, "Order-1", "Order", 1, "Placed", 1, "id-2", b"{}", b"{}", AT + 1),
]


@pytest.fixture(autouse=True)
def history(log: list[str]) -> None:
    async def put() -> None:
        async with open_store_backend(log[1]) as store:
            await store.put(EVENTS)

    asyncio.run(put())


@pytest.mark.parametrize(
    "command",
    [
        ["streams", "list"],
        ["streams", "show", f"{STEERING}-1"],
        ["events", "show", "1"],
        ["events", "search"],
        ["events", "tail", "--no-follow"],
    ],
)
def test_control_and_format_characters_are_shown_by_their_escapes(log: list[str], command: Sequence[str]) -> None:
    printed = told(*command, *log)

    assert not {char for char in printed if char != "\n" and unicodedata.category(char) in {"Cc", "Cf", "Zl", "Zp"}}
    assert r"O\x1b[2J\n\u202ed\x9b\u200f\u2028" in printed


def test_what_a_program_reads_is_what_is_stored(log: list[str]) -> None:
    (first, *_) = told("streams", "list", "--json", *log).split("\n")

    assert msgspec.json.decode(first)["stream"] == f"{STEERING}-1"


@pytest.mark.parametrize("text", ["Größe 日本 😀", "a [bold] b", "", r"\x1b"])
def test_other_text_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text


def test_a_time_that_is_shown_names_the_event(log: list[str]) -> None:
    assert TIME in told("streams", "list", *log)
    assert TIME in told("events", "search", *log)
    assert TIME in told("events", "show", "1", *log)
    (found,) = told("events", "search", "--since", TIME, "--until", TIME, *log).splitlines()
    assert found.split()[0] == "1"
    assert f"{TIME[:-1]}7 UTC" in str(refused("state", "Order-1", *APP, *log, "--at", "1"))
    assert len(told("events", "search", "--since", "0001-01-01", *log).splitlines()) == 2


@pytest.mark.parametrize("command", [["events", "search", "日"], ["events", "search", "日", "--json"]])
def test_what_an_encoding_lacks_is_escaped(log: list[str], command: Sequence[str]) -> None:
    done = diptych(*command, *log, LC_ALL="C", PYTHONIOENCODING="ascii")

    assert (done.returncode, done.stderr) == (0, "")
    assert r"\u65e5" in done.stdout
    assert r"\ud83d\ude00\u00e9" in done.stdout


def test_json_is_json_in_an_encoding_that_lacks_its_characters(log: list[str]) -> None:
    done = diptych("streams", "list", "--json", *log, LC_ALL="C", PYTHONIOENCODING="ascii")

    assert msgspec.json.decode(done.stdout.splitlines()[0])["stream"] == f"{STEERING}-1"


@pytest.mark.parametrize("command", [["events", "search"], ["streams", "list"]])
def test_a_full_disk_is_told_in_one_line(log: list[str], command: Sequence[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [*DIPTYCH, *command, *log],
            env=environment(), stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr == "OSError: [Errno 28] No space left on device\n"


def test_a_pipe_that_nobody_reads_is_no_matter(log: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [*DIPTYCH, "streams", "list", *log], env=environment(), stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)

    assert (done.returncode, done.stderr) == (1, b"")


def test_a_name_that_is_no_text_is_told_in_one_line(log: list[str]) -> None:
    done = subprocess.run(
        [*DIPTYCH, "streams", "show", b"\xff", *log], env=environment(), capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr.startswith(r"'\udcff' is no text")
    assert len(done.stderr.splitlines()) == 1
