"""Print what a command found: a table for a person, or JSON for a program, an object a line where it is a list."""

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from unicodedata import category

import msgspec
from rich.console import Console, Group
from rich.highlighter import JSONHighlighter
from rich.table import Column, Table
from rich.text import Text

from diptych.codec import EPOCH
from diptych.read.tend.status import ProjectionStatus
from diptych.store.port import StoredEvent, StreamRow

UNBOUND = 10_000
_BREAKS = frozenset({"Zl", "Zp"})
_COLOURS = {"running": "green", "catching up": "yellow", "rebuilding": "yellow", "paused": "yellow"}


def print_json(found: Any) -> None:
    """One JSON value on a line."""
    sys.stdout.write(msgspec.json.encode(found).decode() + "\n")


def print_lines(found: Iterable[Any]) -> None:
    """A JSON value a line."""
    for each in found:
        print_json(each)


def print_facts(facts: Mapping[str, Any], *, as_json: bool) -> None:
    """Names and what they are."""
    if as_json:
        print_json(facts)
        return
    table = Table.grid(Column(style="bold", no_wrap=True), Column(overflow="fold"), padding=(0, 2))
    for name, fact in facts.items():
        table.add_row(*plain(name, ", ".join(map(str, fact)) if isinstance(fact, list | tuple) else fact))
    console().print(table)


def console() -> Console:
    """Where tables are printed: as wide as the terminal or COLUMNS says; else as they need, so nothing folds."""
    found = Console()
    if not (found.is_terminal or os.environ.get("COLUMNS")):
        found.width = UNBOUND
    return found


def plain(*cells: Any) -> list[Text]:
    """Cells of a table that are shown as they are, whatever brackets they hold."""
    return [Text(shown(str(cell))) for cell in cells]


def shown(text: str) -> str:
    """
    A text on a line of a terminal: what would steer that, break the line or turn its direction stands as an escape.

    Whoever names a stream writes here, too: names may hold ESC sequences, line breaks and marks that nobody sees.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escaped(char) if category(char)[0] == "C" or category(char) in _BREAKS else char for char in text)


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()


def more(after: int | None) -> None:
    """Say how to go on, if there may be more."""
    if after is not None:
        console().print(f"[dim]there may be more: --after {after}[/]")


def status_view(statuses: Sequence[ProjectionStatus]) -> Group:
    """A row a projection, or a partition of one; below them what is wrong, a line each."""
    table = Table(Column("projection", overflow="fold"), Column("state", no_wrap=True))
    for title in ("checkpoint", "to go", "lag", "per s", "left"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("owner")
    for each in statuses:
        state = Text(each.state, style=_COLOURS.get(each.state, "red"))
        left = "" if each.seconds_left is None else _span(each.seconds_left)
        numbers = (f"{each.checkpoint:,}", f"{each.lag_events:,}", _span(each.lag_s), f"{each.rate:,.0f}", left)
        table.add_row(*plain(_named(each)), state, *plain(*numbers, _owner(each.owner)))
    return Group(table, *(Text(shown(f"{_named(each)} {wrong}")) for each in statuses for wrong in _wrongs(each)))


def _named(status: ProjectionStatus) -> str:
    generation = f".{status.generation}" if status.generation else ""
    return f"{status.name} {status.version}{generation}" + (f"/{status.partition}" if status.partition else "")


def _owner(owner: str | None) -> str:
    """The host and the process of a worker."""
    if owner is None:
        return "nobody"
    place, pid, _ = owner.rsplit("/", 2)
    return f"{place.partition('~')[0]} {pid}"


def _wrongs(status: ProjectionStatus) -> Iterable[str]:
    """What is to be known of a projection beside its figures."""
    if status.state == "not built":
        yield "is not built: a worker or server that runs this code builds it"
    elif not status.served:
        yield "is not served"
    if status.error is not None:
        where = "" if status.error_position is None else f" at {status.error_type or 'event'} {status.error_position}"
        since = "" if status.since is None else f" since {status.since:%Y-%m-%d %H:%M:%S}"
        yield f"is {status.state}{where}{since}: {status.error}"
    for key in status.parked:
        events = f"{key.events} event{'s' if key.events > 1 else ''}"
        yield f"has parked {events} of {key.key!r} from {key.position} on: {key.error or 'behind another key'}"


def _span(seconds: float) -> str:
    """A time for a person."""
    if seconds < 100:
        return f"{seconds:.1f} s"
    return f"{timedelta(seconds=round(seconds))}"


# Events and streams


def told_event(event: StoredEvent) -> dict[str, Any]:
    """An event for a program."""
    return {
        "position": event.position,
        "stream": event.stream,
        "category": event.category,
        "version": event.version,
        "type": event.type,
        "schema_version": event.schema_version,
        "id": event.id,
        "recorded_at": instant(event.recorded_at),
        "payload": msgspec.Raw(_on_one_line(event.payload).encode()),
        "metadata": msgspec.Raw(_on_one_line(event.metadata).encode()),
    }


def told_stream(row: StreamRow) -> dict[str, Any]:
    """A stream for a program."""
    return {**msgspec.structs.asdict(row), "recorded_at": instant(row.recorded_at)}


def streams_table(rows: Sequence[StreamRow]) -> Table:
    """A row a stream."""
    table = Table(Column("stream", overflow="fold"), Column("category", overflow="fold"))
    for title in ("version", "began at", "ends at"):
        table.add_column(title, justify="right", overflow="fold")
    table.add_column("last event", overflow="fold")
    for row in rows:
        numbers = (row.version, row.began, row.position)
        cells = (row.stream, row.category, *(f"{number:,}" for number in numbers), _at(row.recorded_at))
        table.add_row(*plain(*cells))
    return table


def events_table(events: Sequence[StoredEvent]) -> Table:
    """A row an event of a stream."""
    table = Table(Column("version", justify="right"), Column("position", justify="right"))
    table.add_column("recorded at", no_wrap=True)
    table.add_column("type", no_wrap=True)
    table.add_column("payload")
    for event in events:
        numbers = (f"{event.version:,}", f"{event.position:,}")
        payload = Text(shown(_on_one_line(event.payload)), no_wrap=True, overflow="ellipsis")
        table.add_row(*plain(*numbers, _at(event.recorded_at), _type(event)), payload)
    return table


def print_event(event: StoredEvent) -> None:
    """One event, all of it."""
    print_facts(
        {
            "position": event.position,
            "stream": f"{event.stream}, version {event.version}",
            "category": event.category,
            "type": _type(event),
            "id": event.id,
            "recorded at": f"{_at(event.recorded_at)} UTC",
        },
        as_json=False,
    )
    for name, value in (("payload", event.payload), ("metadata", event.metadata)):
        console().print(Text(name, style="bold"))
        console().print(JSONHighlighter()(_indented(value)), soft_wrap=True)


def event_line(event: StoredEvent) -> str:
    """An event on a line; where a person reads it, cut off at the terminal's edge."""
    where = f"{event.position:>9} {_at(event.recorded_at)} {event.stream} {event.version} {_type(event)}"
    line = Text(shown(f"{where} {_on_one_line(event.payload)}"))
    if sys.stdout.isatty():
        line.truncate(shutil.get_terminal_size().columns, overflow="ellipsis")
    return line.plain


def instant(microseconds: int) -> datetime:
    """A stored time."""
    return EPOCH + timedelta(microseconds=microseconds)


def _at(microseconds: int) -> str:
    """A stored time, all of it: `--at`, `--since` and `--until` take it as it is shown."""
    return instant(microseconds).replace(tzinfo=None).isoformat(" ", "microseconds")


def _type(event: StoredEvent) -> str:
    return event.type if event.schema_version == 1 else f"{event.type} v{event.schema_version}"


def _indented(stored: bytes) -> str:
    """JSON over several lines; what is none as it stands."""
    try:
        text = json.dumps(json.loads(stored), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = stored.decode(errors="backslashreplace")
    return "\n".join(map(shown, text.split("\n")))


def _on_one_line(stored: bytes) -> str:
    """The same JSON: a line break in it is space between values."""
    return stored.decode().replace("\n", " ").replace("\r", " ")
