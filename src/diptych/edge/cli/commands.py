"""
The commands, put together: each opens what it needs, does one thing, and prints what came of it.

Exit codes: 0 done and well; 1 something is wrong, and the message says what; 2 the command was written wrongly.
"""

import sys

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
    try:
        cli()
    except DiptychError as error:
        sys.exit("; ".join([f"{type(error).__name__}: {error}", *getattr(error, "__notes__", ())]))
