"""`diptych log`: the identity of a log that was put back or copied."""

import asyncio
from typing import Any

import typer

from diptych.edge.cli.options import LOG_URL, READ_URL, Json, Log, Read, must_be_there
from diptych.edge.cli.printing import print_facts
from diptych.read.tend.identity import Mended, log_adopt, log_restored

log_commands: typer.Typer = typer.Typer(help="The identity of a log that was put back or copied.", no_args_is_help=True)


@log_commands.command("restored")
def restored(log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """Say that the log was put back to an earlier point; positions given before are refused from then on."""
    must_be_there("log", log)
    print_facts(_told(asyncio.run(log_restored(log, read))), as_json=json)


@log_commands.command("adopt")
def adopt(log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """Make a copy of a log a log of its own."""
    must_be_there("log", log)
    print_facts(_told(asyncio.run(log_adopt(log, read))), as_json=json)


def _told(mended: Mended) -> dict[str, Any]:
    return {
        "log": mended.identity.log_id,
        "incarnation": mended.identity.incarnation,
        "kept": [f"{of.projection} {of.version}.{of.generation}" for of in mended.kept],
        "to rebuild": [f"{of.projection} {of.version}.{of.generation}" for of in mended.to_rebuild],
    }
