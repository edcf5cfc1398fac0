"""Call the command line, in this process and in one of its own."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import apsw
import msgspec
from tests.faults.waiting import DEADLINE_S
from tests.serving import environment
from typer.testing import CliRunner

from diptych.edge.cli.commands import cli

DIPTYCH = [sys.executable, "-c", "from diptych.edge.cli import main; main()"]
APP = ["--app", "orders.app:app"]


def told(*command: str, code: int = 0) -> str:
    """What a command prints."""
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == code, result.output
    return result.output


def lines(*command: str, code: int = 0) -> list[Any]:
    """What a command prints for programs, a value a line."""
    return [msgspec.json.decode(line) for line in told(*command, "--json", code=code).splitlines()]


def refused(*command: str) -> BaseException:
    """The error that a command ends with."""
    result = CliRunner().invoke(cli, command)
    assert result.exit_code == 1, result.output
    assert result.exception is not None
    return result.exception


def eventually(condition: Callable[[], bool], otherwise: str) -> None:
    """Look again and again until a condition holds, as `until` does where no loop runs."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.05)


def diptych(*command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """The command in a process of its own."""
    return subprocess.run(
        [*DIPTYCH, *command],
        env=environment(**variables),
        capture_output=True,
        text=True,
        check=False,
    )


@contextmanager
def sqlite(url: str) -> Iterator[apsw.Connection]:
    """A file of SQLite, as anybody can open it."""
    connection = apsw.Connection(url.removeprefix("sqlite:///"))
    yield connection
    connection.close()
