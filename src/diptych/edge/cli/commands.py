"""
The commands: each opens what it needs, does one thing, and prints what came of it.

Exit codes: 0 done and well; 1 something is wrong, and the message says what; 2 the command was written wrongly.
"""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.live import Live

from diptych.app import Diptych
from diptych.edge.cli.options import LOG_URL, READ_URL, App, Json, Log, Read, application, must_be_there
from diptych.edge.cli.printing import print_facts, print_json, status_json, status_table
from diptych.errors import DiptychError
from diptych.log import open_store
from diptych.read.database import open_read_db
from diptych.read.identity import Mended, log_adopt, log_restored
from diptych.read.synchronizer import ProjectionStatus, ReadModelSynchronizer
from diptych.read.wait import FINAL
from diptych.schema_lock import check_lock, check_log, write_lock

WATCH_S = 1.0

cli: typer.Typer = typer.Typer(help="Look after a Diptych application.", no_args_is_help=True, add_completion=False)
schema: typer.Typer = typer.Typer(help="The shapes of stored events, locked in a file.", no_args_is_help=True)
log_commands: typer.Typer = typer.Typer(help="The identity of a log that was put back or copied.", no_args_is_help=True)
config: typer.Typer = typer.Typer(help="What this command would work with.", no_args_is_help=True)
cli.add_typer(schema, name="schema")
cli.add_typer(log_commands, name="log")
cli.add_typer(config, name="config")


def run() -> None:
    """Run the command line; what goes wrong is told in one line."""
    try:
        cli()
    except DiptychError as error:
        sys.exit(f"{type(error).__name__}: {error}")


@cli.command()
def init(app: App, log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """Make the log and the read database, or bring their tables up to date; what is there stays."""
    application(app)

    async def make() -> dict[str, Any]:
        async with open_store(log, ()) as event_store, open_read_db(read):
            identity = event_store.identity
            return {"log": identity.log_id, "incarnation": identity.incarnation, "head": await event_store.head()}

    print_facts(asyncio.run(make()), as_json=json)


@cli.command()
def worker(app: App, log: Log = LOG_URL, read: Read = READ_URL) -> None:
    """Keep the read models in step, and serve nothing, until SIGTERM or SIGINT."""
    asyncio.run(_work(application(app), log, read))


@cli.command()
def status(
    app: App,
    log: Log = LOG_URL,
    read: Read = READ_URL,
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second.")] = False,
) -> None:
    """Tell how each projection is doing; the exit code is 1 if one stands still."""
    found = application(app)
    statuses = asyncio.run(_watched(found, log, read) if watch and not json else _status(found, log, read))
    if json:
        print_json(status_json(statuses))
    else:
        Console().print(status_table(statuses))
    raise typer.Exit(1 if any(each.state in FINAL for each in statuses) else 0)


@schema.command("lock")
def lock(app: App, path: Annotated[Path, typer.Argument()] = Path("events.lock.json")) -> None:
    """Write the shapes of the application's events as they are now."""
    write_lock(path, application(app).events)


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


@config.command("show")
def show(context: typer.Context, app: App = "", log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """Tell the settings, and where each comes from."""
    given = {"app": app, "log": _without_password(log), "read": _without_password(read)}
    sources = {name: context.get_parameter_source(name) for name in given}
    where = {name: source.name.lower().replace("_", " ") if source else "" for name, source in sources.items()}
    if json:
        print_json({name: {"value": value, "from": where[name]} for name, value in given.items()})
    else:
        print_facts({name: f"{value or 'none'}  ({where[name]})" for name, value in given.items()}, as_json=False)


async def _work(app: Diptych, log: str, read: str) -> None:
    told_to_stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told_to_stop.set)
    async with app.open(log, read):
        sys.stdout.write(f"following with {', '.join(each.name for each in app.projections) or 'no projection'}\n")
        sys.stdout.flush()
        await told_to_stop.wait()


async def _status(app: Diptych, log: str, read: str) -> Sequence[ProjectionStatus]:
    async with _looking(app, log, read) as synchronizer:
        return await synchronizer.status()


async def _watched(app: Diptych, log: str, read: str) -> Sequence[ProjectionStatus]:
    """Until it is interrupted."""
    async with _looking(app, log, read) as synchronizer:
        statuses = await synchronizer.status()
        with Live(status_table(statuses), console=Console(), transient=True) as live:
            try:
                while True:
                    await asyncio.sleep(WATCH_S)
                    statuses = await synchronizer.status()
                    live.update(status_table(statuses))
            except asyncio.CancelledError:
                return statuses


@asynccontextmanager
async def _looking(app: Diptych, log: str, read: str) -> AsyncIterator[ReadModelSynchronizer]:
    """A synchronizer that follows nothing, on databases that are there."""
    for what, url in (("log", log), ("read", read)):
        must_be_there(what, url)
    async with open_store(log, app.events) as event_store, open_read_db(read) as read_db:
        yield ReadModelSynchronizer(event_store, read_db, app.projections)


async def _read_whole(app: Diptych, log: str) -> dict[tuple[str, int], int]:
    must_be_there("log", log)
    async with open_store(log, app.events) as event_store:
        return await check_log(event_store)


def _told(mended: Mended) -> dict[str, Any]:
    return {
        "log": mended.identity.log_id,
        "incarnation": mended.identity.incarnation,
        "kept": [f"{of.projection} {of.version}.{of.generation}" for of in mended.kept],
        "to rebuild": [f"{of.projection} {of.version}.{of.generation}" for of in mended.to_rebuild],
    }


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    user, at, place = rest.rpartition("@")
    return f"{scheme}{separator}{user.partition(':')[0]}{at}{place}" if at else url
