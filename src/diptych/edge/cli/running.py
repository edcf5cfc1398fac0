"""`diptych init`, `serve` and `worker`: make the databases, and run an application on them."""

import asyncio
import logging
import os
import signal
import sys
from typing import Annotated, Any

import typer

from diptych.app import Diptych
from diptych.edge.cli.log_lines import log_as_json
from diptych.edge.cli.options import LOG_URL, READ_URL, App, Json, JsonLogs, Log, Read, application, http_application
from diptych.edge.cli.printing import print_facts
from diptych.edge.cli.settings import without_password
from diptych.errors import BadDatabase
from diptych.log import open_store
from diptych.read.books.absent import NONE
from diptych.read.db.database import open_read_db

_logger = logging.getLogger("diptych.worker")


def init(app: App, log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """Make the log and the read database, or bring their tables up to date; what is there stays."""
    application(app)

    async def make() -> dict[str, Any]:
        async with open_store(log, ()) as event_store, open_read_db(read):
            identity = event_store.identity
            made = {"log": identity.log_id, "incarnation": identity.incarnation, "head": await event_store.head()}
            return made | {"log_url": without_password(log), "read_url": without_password(read)}

    print_facts(asyncio.run(make()), as_json=json)


def serve(
    app: App,
    log: Log = LOG_URL,
    read: Read = READ_URL,
    *,
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="PORT", min=1, max=65_535, help="The port to listen at.")] = 8000,
    runner: Annotated[bool, typer.Option(envvar="DIPTYCH_RUNNER", help="Keep read models in step as well.")] = True,
    json: JsonLogs = False,
) -> None:
    """
    Serve the application over HTTP, with its projections, until SIGTERM or SIGINT.

    --app names its HTTP form, such as orders.app:http, or the application beside it.
    """
    if json:
        log_as_json()
    http = http_application(app)
    from diptych.edge.fastapi.serve import serve as serve_http

    os.environ |= {"DIPTYCH_LOG_URL": log, "DIPTYCH_READ_URL": read, "DIPTYCH_RUNNER": "on" if runner else "off"}
    serve_http(http, port, host, configure_logging=not json)


def worker(app: App, log: Log = LOG_URL, read: Read = READ_URL, *, json: JsonLogs = False) -> None:
    """Keep the read models in step, and serve nothing, until SIGTERM or SIGINT."""
    if log == NONE:
        raise BadDatabase("a worker follows the log, and 'none' is none: name its URL with --log")
    if json:
        log_as_json()
    asyncio.run(_work(application(app), log, read, json=json))


async def _work(app: Diptych, log: str, read: str, *, json: bool) -> None:
    told = told_to_stop()
    async with app.open(log, read):
        following = f"following with {', '.join(each.name for each in app.projections) or 'no projection'}"
        if json:
            _logger.info(following)
        else:
            sys.stdout.write(f"{following}\n")
            sys.stdout.flush()
        await told.wait()


def told_to_stop() -> asyncio.Event:
    """What is set by SIGTERM or SIGINT; inside a running loop."""
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    return told
