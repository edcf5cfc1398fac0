"""`diptych export` and `import`: a log in a file of JSON lines, and out of it."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from diptych.edge.cli.options import LOG_URL, Json, Log, must_be_there
from diptych.edge.cli.printing import print_facts
from diptych.transfer import Transferred, export_log, import_log

File = Annotated[Path, typer.Argument(help="The file of JSON lines.", dir_okay=False)]


def export(file: File, log: Log = LOG_URL, json: Json = False) -> None:
    """Write the log into a file; one that was cut short is gone on with. The log may go on being used."""
    must_be_there("log", log)
    with progress_bar("exporting") as progress:
        done = asyncio.run(export_log(log, file, progress=progress))
    print_facts(_told(done), as_json=json)


def import_(file: File, log: Log = LOG_URL, json: Json = False) -> None:
    """
    Put the log in a file into an empty one; one that was cut short is gone on with.

    It is the same log then: say `diptych log adopt` where it is a copy, and the original goes on being used.
    """
    with progress_bar("importing") as progress:
        done = asyncio.run(import_log(log, file, progress=progress))
    print_facts(_told(done), as_json=json)


class Bar:
    """A bar that is moved by telling how far it is, of how much."""

    def __init__(self, progress: Progress, what: str) -> None:
        self._what, self._progress = what, progress
        self._task = progress.add_task(what, total=None, figures="")

    def __call__(self, done: int, of: int, what: str | None = None) -> None:
        """Move it."""
        self._progress.update(
            self._task, completed=done, total=of, figures=f"{done:,} of {of:,}", description=what or self._what
        )


@contextmanager
def progress_bar(what: str) -> Iterator[Bar]:
    """A bar on a terminal, beside what is printed; none elsewhere."""
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeRemainingColumn(compact=True, elapsed_when_finished=True),
    )
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield Bar(progress, what)


def _told(done: Transferred) -> dict[str, object]:
    return {
        "log": done.identity.log_id,
        "incarnation": done.identity.incarnation,
        "position": done.position,
        "events": done.events,
        "commands": done.commands,
    }
