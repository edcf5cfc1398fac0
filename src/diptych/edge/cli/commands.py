"""
The commands, put together: each opens what it needs, does one thing, and prints what came of it.

Exit codes: 0 done and well; 1 something is wrong, and the message says what; 2 the command was written wrongly.
"""

import codecs
import errno
import os
import sys
from io import TextIOWrapper

import typer

from diptych.edge.cli import (
    doctor,
    events,
    identity,
    moving,
    projections,
    pruning,
    running,
    schema,
    settings,
    state,
    status,
    streams,
)
from diptych.edge.cli.printing import shown
from diptych.errors import DiptychError

cli: typer.Typer = typer.Typer(help="Look after a Diptych application.", no_args_is_help=True, add_completion=False)
for _command in (running.init, running.serve, running.worker, status.status, doctor.doctor, state.state, moving.export):
    cli.command()(_command)
cli.command("import")(moving.import_)
cli.add_typer(projections.projections, name="projections")
cli.add_typer(streams.streams, name="streams")
cli.add_typer(events.events, name="events")
cli.add_typer(pruning.commands, name="commands")
cli.add_typer(schema.schema, name="schema")
cli.add_typer(identity.log_commands, name="log")
cli.add_typer(settings.config, name="config")


def run() -> None:
    """Run the command line; what goes wrong is told in one line."""
    _escape_what_no_terminal_has()
    try:
        _run_and_flush()
    except UnicodeEncodeError as error:
        sys.exit(f"{error.object[:100]!r} is no text that a database can hold: write it in UTF-8")
    except DiptychError as error:
        sys.exit(_told(error))
    except OSError as error:
        _write_no_more()
        sys.exit(1 if error.errno == errno.EPIPE else _told(error))


def _run_and_flush() -> None:
    try:
        cli()
    finally:
        sys.stdout.flush()


def _told(error: Exception) -> str:
    text = "; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())])
    return "\n".join(map(shown, text.split("\n")))


def _escape_what_no_terminal_has() -> None:
    """Where the encoding lacks a character, its escape is printed: one that JSON has, too."""
    codecs.register_error("diptych-escape", _as_json_escapes)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="diptych-escape")


def _as_json_escapes(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(lacking[::2], lacking[1::2], strict=True)), error.end


def _write_no_more() -> None:
    """What is left in the buffer can't be written either; the interpreter tries it at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
