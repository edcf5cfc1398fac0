"""`diptych schema`: the shapes of stored events, locked in a file."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from diptych.app import Diptych
from diptych.edge.cli.options import App, Json, application, must_be_there
from diptych.edge.cli.printing import print_facts
from diptych.event import event_type
from diptych.log import open_store
from diptych.schema_lock import check_lock, check_log, write_lock

schema: typer.Typer = typer.Typer(help="The shapes of stored events, locked in a file.", no_args_is_help=True)


@schema.command("lock")
def lock(app: App, path: Annotated[Path, typer.Argument()] = Path("events.lock.json"), json: Json = False) -> None:
    """Write the shapes of the application's events as they are now."""
    events = application(app).events
    write_lock(path, events)
    locked = sorted({f"{event_type(each).name} {event_type(each).version}" for each in events})
    print_facts({"file": str(path), "events": locked}, as_json=json)


@schema.command("check")
def check(
    app: App,
    path: Annotated[Path, typer.Argument()] = Path("events.lock.json"),
    log: Annotated[str | None, typer.Option("--log", help="Read every event of this log, too.")] = None,
    json: Json = False,
) -> None:
    """Insist that every event that was ever stored can still be read."""
    found = application(app)
    check_lock(path, found.events)
    counted = asyncio.run(_read_whole(found, log)) if log else {}
    print_facts({f"{type} {version}": count for (type, version), count in counted.items()}, as_json=json)


async def _read_whole(app: Diptych, log: str) -> dict[tuple[str, int], int]:
    must_be_there("log", log)
    async with open_store(log, app.events) as event_store:
        return await check_log(event_store)
