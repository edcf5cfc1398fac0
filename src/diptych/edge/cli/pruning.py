"""`diptych commands`: the ids of commands that were accepted."""

import asyncio
from datetime import timedelta
from typing import Annotated

import typer

from diptych.edge.cli.options import LOG_URL, Json, Log, duration, must_be_there
from diptych.edge.cli.printing import print_facts
from diptych.log import open_store

commands: typer.Typer = typer.Typer(help="The ids of commands that were accepted.", no_args_is_help=True)


@commands.callback()
def of_commands() -> None:
    """Keep `prune` a command of its own: a lone one would take the place of the group."""


@commands.command("prune")
def prune(
    older_than: Annotated[
        timedelta, typer.Option(parser=duration, metavar="AGE", help="Such as 90d; also w, h, m and s.")
    ],
    log: Log = LOG_URL,
    json: Json = False,
) -> None:
    """Forget the ids of old commands: who sends one again has it done again. Their events stay."""
    must_be_there("log", log)
    print_facts({"forgotten": asyncio.run(_pruned(log, older_than))}, as_json=json)


async def _pruned(log: str, older_than: timedelta) -> int:
    async with open_store(log, ()) as event_store:
        return await event_store.prune_commands(older_than)
