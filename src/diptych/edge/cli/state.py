"""`diptych state`: a thing, or a row of a projection, as it is or was."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
import typer
from rich.table import Column, Table

from diptych.app import Diptych
from diptych.edge.cli.options import LOG_URL, App, Json, Log, application, must_be_there, place
from diptych.edge.cli.printing import console, instant, plain, print_facts, print_json
from diptych.errors import Misuse, NoProjection, NotFound
from diptych.log import EventStore, open_store
from diptych.past import At, changes
from diptych.read.ask.live import Live
from diptych.read.projections.projection import AnyProjection, TableProjection, TwoRoundProjection
from diptych.store import open_store_backend
from diptych.write.aggregate import state_of
from diptych.write.repository import Repository

PLACE = "A position or a time: 1639, 2026-11-24T13:00, in UTC unless it says else, or 2h ago: 2h."


@dataclass(frozen=True, slots=True)
class Wanted:
    """Whose state is asked for: a stream's, or the row of a projection."""

    stream: str | None
    projection: str | None
    key: str | None


def state(
    app: App,
    stream: Annotated[str | None, typer.Argument(help="Such as Order-3f2a.")] = None,
    log: Log = LOG_URL,
    *,
    at: Annotated[str | None, typer.Option(metavar="PLACE", help=PLACE)] = None,
    diff: Annotated[
        tuple[str, str] | None, typer.Option(metavar="PLACE PLACE", help="Tell what differs between two of these.")
    ] = None,
    projection: Annotated[str | None, typer.Option(help="The row of this one, instead of the aggregate.")] = None,
    key: Annotated[str | None, typer.Option(help="The row's key; without it that of the stream.")] = None,
    json: Json = False,
) -> None:
    """
    Fold a thing from its events and show its state; as of a position or a time, or what differs between two.

    With --projection it is a row, folded from the events of STREAM, or of the whole log where only --key is given.
    """
    wanted = Wanted(stream, projection, key)
    if stream is None and (projection is None or key is None):
        raise typer.BadParameter("name a STREAM, or a row by --projection and --key")
    found = application(app)
    if diff is not None:
        before, after = (asyncio.run(_state(found, log, wanted, place(each))) for each in diff)
        if before is None and after is None:
            raise NotFound(projection or "stream", key or stream, f"is at neither place, {diff[0]} nor {diff[1]}")
        _print_changes(changes(before or {}, after or {}), diff, json=json)
        return
    now = asyncio.run(_state(found, log, wanted, None if at is None else place(at)))
    if now is None and at is not None and stream is not None and projection is None:
        raise NotFound("stream", stream, asyncio.run(_why_not(log, stream, at)))
    if now is None:
        raise NotFound(projection or "stream", key or stream)
    if json:
        print_json(now)
    else:
        print_facts({name: _told(value) for name, value in now.items()}, as_json=False)


async def _state(app: Diptych, log: str, wanted: Wanted, at: At | None) -> Mapping[str, Any] | None:
    """What is to be shown, by name; None where there was nothing."""
    must_be_there("log", log)
    async with open_store(log, app.events) as event_store:
        if wanted.projection is not None:
            return await _row(app, event_store, wanted, at)
        assert wanted.stream is not None
        category, id = await _thing(event_store, wanted.stream)
        if category not in app.aggregates:
            known = ", ".join(app.aggregates) or "none"
            raise Misuse(f"no aggregate of the application has streams of category {category!r}: known are {known}")
        try:
            aggregate = await Repository(event_store, app.aggregates[category]).load(id, at=at)
        except NotFound:
            return None
        return _plain(state_of(aggregate))


async def _why_not(log: str, stream: str, at: str) -> str:
    """Why a stream that is there has no state as of a place."""
    async with open_store_backend(log) as store:
        first = (await store.read_stream(stream, limit=1))[0]
    began = f"{instant(first.recorded_at):%Y-%m-%d %H:%M:%S.%f} UTC"
    return f"has no events yet at {at}: it began at position {first.position}, {began}"


async def _row(app: Diptych, event_store: EventStore, wanted: Wanted, at: At | None) -> Mapping[str, Any] | None:
    found = next((each for each in app.projections if each.name == wanted.projection), None)
    if found is None:
        raise NoProjection(str(wanted.projection), [each.name for each in app.projections])
    live = Live[Any](event_store, found)
    key = wanted.key
    if key is None and wanted.stream is not None:
        _, key = await _thing(event_store, wanted.stream)
    row = await live.get(_key(found, key), at=at, stream_id=wanted.stream)
    return None if row is None else _plain(_columns(found, row))


def _key(projection: AnyProjection, written: str | None) -> Any:
    """A key as its column has it: a number is written like any text. What it can't be stays text, and names no row."""
    assert isinstance(projection, TableProjection | TwoRoundProjection)
    try:
        return msgspec.convert(written, projection.shape().key.kind, strict=False)
    except msgspec.ValidationError:
        return written


async def _thing(event_store: EventStore, stream: str) -> tuple[str, str]:
    """The category of a stream, and the id of what it tells of."""
    first = await event_store.store.read_stream(stream, limit=1)
    if not first:
        raise NotFound("stream", stream)
    return first[0].category, stream.removeprefix(f"{first[0].category}-")


def _columns(projection: AnyProjection, row: Any) -> dict[str, Any]:
    assert isinstance(projection, TableProjection | TwoRoundProjection)
    shape = projection.shape()
    return dict(zip(shape.names, shape.values(row), strict=True))


def _plain(state: Mapping[str, Any]) -> dict[str, Any]:
    """A state of values that JSON has a form for; others as they show themselves."""
    return {name: msgspec.to_builtins(value, enc_hook=repr, str_keys=True) for name, value in state.items()}


def _told(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


def _print_changes(found: Mapping[str, tuple[Any, Any]], places: tuple[str, str], *, json: bool) -> None:
    if json:
        print_json(found)
        return
    table = Table(Column("", no_wrap=True), *(Column(f"at {each}", overflow="fold") for each in places))
    for name, (before, after) in found.items():
        table.add_row(*plain(name, _told(before), _told(after)))
    console().print(table if found else "nothing differs")
