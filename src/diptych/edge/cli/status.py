"""`diptych status`: how the projections are doing."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, nullcontext
from typing import Annotated

import typer
from rich.live import Live

from diptych.app import Diptych
from diptych.edge.cli.options import LOG_URL, READ_URL, App, Json, Log, Read, application, must_be_there
from diptych.edge.cli.printing import console, print_lines, status_view
from diptych.log import open_store
from diptych.read.books.absent import NONE, without_log
from diptych.read.books.wait import FINAL
from diptych.read.db.database import open_read_db
from diptych.read.synchronizer import ReadModelSynchronizer
from diptych.read.tend.status import ProjectionStatus

WATCH_S = 1.0


def status(
    app: App,
    log: Log = LOG_URL,
    read: Read = READ_URL,
    json: Json = False,
    watch: Annotated[bool, typer.Option("--watch", help="Look again every second.")] = False,
) -> None:
    """Tell how each projection is doing; the exit code is 1 if one stands still, or has events to go and no owner."""
    found = application(app)
    statuses = asyncio.run(_watched(found, log, read) if watch and not json else declared(found, log, read))
    if json:
        print_lines(statuses)
    else:
        console().print(status_view(statuses))
    raise typer.Exit(1 if _wrong(statuses) else 0)


def _wrong(statuses: Sequence[ProjectionStatus]) -> bool:
    """Whether somebody should look: a rebuild that was left alone keeps nobody from an answer."""
    served = {each.name for each in statuses if each.served}
    return any(
        each.state in FINAL
        or (
            each.state in {"no owner", "not built"} and each.lag_events > 0 and (each.served or each.name not in served)
        )
        for each in statuses
    )


async def declared(app: Diptych, log: str, read: str) -> Sequence[ProjectionStatus]:
    """How its projections are doing, those included that are not built yet."""
    async with looking(app, log, read) as synchronizer:
        return await synchronizer.status(declared=True)


async def _watched(app: Diptych, log: str, read: str) -> Sequence[ProjectionStatus]:
    """Until it is interrupted."""
    async with looking(app, log, read) as synchronizer:
        statuses = await synchronizer.status(declared=True)
        with Live(status_view(statuses), console=console(), transient=True) as live:
            try:
                while True:
                    await asyncio.sleep(WATCH_S)
                    statuses = await synchronizer.status(declared=True)
                    live.update(status_view(statuses))
            except asyncio.CancelledError:
                return statuses


@asynccontextmanager
async def looking(app: Diptych, log: str, read: str) -> AsyncIterator[ReadModelSynchronizer]:
    """A synchronizer that follows nothing, on databases that are there; without a log where that is "none"."""
    must_be_there("log", log)
    must_be_there("read", read)
    opening = nullcontext() if log == NONE else open_store(log, app.events)
    async with opening as opened, open_read_db(read) as read_db:
        event_store = opened or without_log(read_db, app.events)
        yield ReadModelSynchronizer(event_store, read_db, app.projections, follow=False)
