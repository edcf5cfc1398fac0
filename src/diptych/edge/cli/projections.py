"""`diptych projections`: repair, rebuild and check read models, beside whatever processes keep them in step."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Column, Table

from diptych.edge.cli.moving import progress_bar
from diptych.edge.cli.options import LOG_URL, READ_URL, App, Json, Log, Read, application, duration
from diptych.edge.cli.printing import console, plain, print_facts, print_json, print_lines, shown
from diptych.edge.cli.status import declared, looking
from diptych.errors import BadDatabase, Unavailable
from diptych.event import event_type
from diptych.read.books.checkpoint import Generation
from diptych.read.books.progress import Progress
from diptych.read.projections.projection import AnyProjection, TableProjection, TwoRoundProjection
from diptych.read.projections.reaction import Reaction
from diptych.read.synchronizer import ReadModelSynchronizer
from diptych.read.tend.acts import Act
from diptych.read.tend.status import ProjectionStatus
from diptych.read.tend.switch import KEEP_S
from diptych.read.tend.verify import FIRST, Verification

T = TypeVar("T")

projections: typer.Typer = typer.Typer(help="Repair, rebuild and check read models.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The projection's name.")]
Key = Annotated[str | None, typer.Option(help="What is parked under this key, instead of where it stopped.")]


@projections.command("list")
def list_(app: App, log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """List the application's projections, what they handle, and their states where the databases can be reached."""
    found = application(app)
    try:
        statuses = asyncio.run(declared(found, log, read))
        why_not = None
    except (BadDatabase, Unavailable) as error:
        statuses, why_not = (), error
    listed = [{**_told(each), "state": _state(each, statuses)} for each in found.projections]
    if json:
        print_lines(listed)
    else:
        console().print(_listed(listed))
    if why_not is not None:
        Console(stderr=True).print(shown(f"no states are told: {why_not}"), markup=False, soft_wrap=True)


@projections.command("pause")
def pause(name: Name, app: App, log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """Have nothing applied to a projection until it is resumed."""
    _ordered(app, log, read, lambda synchronizer: synchronizer.pause(name))
    _done(name, f"is paused: diptych projections resume {name} lets it go on", json=json)


@projections.command("resume")
def resume(name: Name, app: App, log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """Let a paused projection go on."""
    _ordered(app, log, read, lambda synchronizer: synchronizer.resume(name))
    _done(name, "goes on", json=json)


@projections.command("retry")
def retry(
    name: Name,
    app: App,
    log: Log = LOG_URL,
    read: Read = READ_URL,
    *,
    key: Key = None,
    all: Annotated[bool, typer.Option("--all", help="All that is parked, under whichever key.")] = False,
    json: Json = False,
) -> None:
    """Try again what a projection stopped at, or what is parked under a key or under all of them."""
    if all and key is not None:
        raise typer.BadParameter("--all is every key: leave out --key, or --all")
    _ordered(app, log, read, lambda synchronizer: synchronizer.retry(name, key, every_key=all))
    _done(name, "tries again: diptych status tells what comes of it", json=json)


def _said(text: str) -> str:
    if not text.strip():
        raise typer.BadParameter("it is blank: say why, for who finds the event missing later")
    return text


@projections.command("skip")
def skip(
    name: Name,
    app: App,
    reason: Annotated[str, typer.Option(help="Why, for the record.", callback=_said)],
    log: Log = LOG_URL,
    read: Read = READ_URL,
    *,
    key: Key = None,
    json: Json = False,
) -> None:
    """Go on behind the event that a projection stopped at, or drop the first one that is parked under a key."""
    skipped = _ordered(app, log, read, lambda synchronizer: synchronizer.skip(name, reason, key))
    events = ", ".join(f"{each.type or 'event'} at {each.position}" for each in skipped)
    _done(name, f"goes on behind {events}: verify and a rebuild meet it again", json=json)


@projections.command("acts")
def acts(app: App, log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """Tell what was ordered by hand of late, by whom and why, the latest first."""
    found = _ordered(app, log, read, lambda synchronizer: synchronizer.acts())
    if json:
        print_lines(found)
    else:
        console().print(_acts_table(found))


@projections.command("rebuild")
def rebuild(
    name: Name,
    app: App,
    log: Log = LOG_URL,
    read: Read = READ_URL,
    *,
    before_switch: Annotated[
        bool, typer.Option("--before-switch", help="Verify before the switch, and refuse it where a row differs.")
    ] = False,
    keep: Annotated[
        timedelta | None,
        typer.Option(parser=duration, metavar="AGE", help="How long the old one is kept, to switch back to: 1d."),
    ] = None,
    json: Json = False,
) -> None:
    """Build a projection anew beside the served one, then switch; one that was cut short is gone on with."""
    with progress_bar(f"building {name}") as bar:

        def told(progress: Progress) -> None:
            bar(progress.position, progress.head, what=f"{progress.stage} {name}")

        async def build(synchronizer: ReadModelSynchronizer) -> str:
            is_first = not any(each.name == name and each.served for each in await synchronizer.status())
            built = await synchronizer.rebuild_projection(
                name,
                keep_s=KEEP_S if keep is None else keep.total_seconds(),
                before_switch="verify" if before_switch else None,
                progress=told,
            )
            return _rebuilt(built, await synchronizer.way_back(name), is_first=is_first)

        what = _ordered(app, log, read, build)
    _done(name, what, json=json)


@projections.command("cancel")
def cancel(name: Name, app: App, log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """Give up a rebuild, wherever it runs; what is served stays. The exit code is 1 where there is none."""
    cancelled = _ordered(app, log, read, lambda synchronizer: synchronizer.cancel_rebuild(name))
    _done(name, "is rebuilt no more" if cancelled else "is not being rebuilt", json=json)
    raise typer.Exit(0 if cancelled else 1)


@projections.command("switch-back")
def switch_back(name: Name, app: App, log: Log = LOG_URL, read: Read = READ_URL, json: Json = False) -> None:
    """Serve again what was served before the last switch."""
    back = _ordered(app, log, read, lambda synchronizer: synchronizer.switch_back(name))
    _done(name, f"is served as before the last switch, from {_number(back)}", json=json)


@projections.command("drop")
def drop(
    name: Name,
    app: App,
    version: Annotated[int, typer.Option(help="The version whose tables and checkpoint go.")],
    log: Log = LOG_URL,
    read: Read = READ_URL,
    *,
    json: Json = False,
) -> None:
    """Remove a version of a projection that no code runs any more."""
    _ordered(app, log, read, lambda synchronizer: synchronizer.drop_version(name, version))
    _done(name, f"has no version {version} any more", json=json)


@projections.command("verify")
def verify(
    name: Name,
    app: App,
    log: Log = LOG_URL,
    read: Read = READ_URL,
    *,
    first: Annotated[int, typer.Option(min=0, help="Show so many of the rows that differ.")] = FIRST,
    json: Json = False,
) -> None:
    """Hold what is served against a fold over the log, while it goes on; the exit code is 1 if a row differs."""
    with progress_bar(f"verifying {name}"):
        found = _ordered(app, log, read, lambda synchronizer: synchronizer.verify(name, first=first))
    if json:
        print_json({**_verified(found), "skipped": found.skipped})
    else:
        skipped = {"a likely reason": [*map(str, found.skipped)]} if found.skipped else {}
        print_facts(_verified(found) | skipped, as_json=False)
    raise typer.Exit(0 if found.ok else 1)


def _ordered(app: str, log: str, read: str, order: Callable[[ReadModelSynchronizer], Awaitable[T]]) -> T:
    """What comes of an order, given to a synchronizer that follows nothing itself."""
    found = application(app)

    async def give() -> T:
        async with looking(found, log, read) as synchronizer:
            return await order(synchronizer)

    return asyncio.run(give())


def _done(name: str, what: str, *, json: bool) -> None:
    """Say what came of an order."""
    if json:
        print_json({"projection": name, "told": what})
    else:
        console().print(shown(f"{name} {what}"), markup=False)


def _rebuilt(built: Generation, back: Generation | None, *, is_first: bool) -> str:
    """What came of a rebuild, and how to take it back, if there is a way."""
    if is_first:
        return f"is served in version {built.version} for the first time, from {_number(built)}"
    if back is None:
        return f"is served anew, from {_number(built)}; nothing that was served before is kept"
    takes_back = f"diptych projections switch-back {built.projection} takes that back"
    return f"is served anew, from {_number(built)}: {takes_back}, to {_number(back)}"


def _number(of: Generation) -> str:
    """A build as `status` names it: the version, and the how-manieth build of that."""
    return f"{of.version}.{of.generation}"


def _told(projection: AnyProjection) -> dict[str, Any]:
    kind = "reaction" if isinstance(projection, Reaction) else "free-form"
    if isinstance(projection, TableProjection | TwoRoundProjection):
        kind = "table" if isinstance(projection, TableProjection) else "two rounds"
    handles = [each if isinstance(each, str) else event_type(each).name for each in projection.handles()]
    return {"name": projection.name, "version": projection.version, "kind": kind, "handles": sorted(handles)}


def _state(projection: AnyProjection, statuses: Sequence[ProjectionStatus]) -> str | None:
    """The state of what is served, or else of what is built; several where its partitions are in several."""
    mine = [each for each in statuses if each.name == projection.name]
    served = [each for each in mine if each.served]
    return ", ".join(dict.fromkeys(each.state for each in served or mine)) or None


def _listed(projections: Sequence[Mapping[str, Any]]) -> Table:
    table = Table(*(Column(title, overflow="fold") for title in ("projection", "version", "state", "kind", "handles")))
    for each in projections:
        state = each["state"] or "?"
        table.add_row(*plain(each["name"], each["version"], state, each["kind"], ", ".join(each["handles"])))
    return table


def _acts_table(found: Sequence[Act]) -> Table:
    titles = ("projection", "act", "key", "position", "reason", "by")
    table = Table(Column("at", no_wrap=True), *(Column(title, overflow="fold") for title in titles))
    for each in found:
        at = each.at.replace(tzinfo=None).isoformat(" ", "seconds")
        where = ("" if value is None else value for value in (each.key, each.position, each.reason))
        table.add_row(*plain(at, f"{each.projection} {each.version}", each.act, *where, each.by))
    return table


def _verified(found: Verification) -> dict[str, Any]:
    of = f"{found.of.projection} {_number(found.of)}"
    numbers = {name: getattr(found, name) for name in ("position", "rows", "missing", "extra", "different")}
    return {"projection": of, **numbers, "first": [str(each) for each in found.first]}
