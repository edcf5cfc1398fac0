"""
Lock the shapes of stored events in a committed file, so that no change of a class makes them unreadable unseen.

    write_lock("schema.lock.json", events=app.events)      once, and after every change that is meant
    check_lock("schema.lock.json", events=app.events)      in a test

The file has every event's name, version and shape (as JSON Schema). What events that
are stored could not survive is refused, each with its cure. `check_log` reads a log itself.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from diptych.catalogue import Catalogue, names_of
from diptych.errors import SchemaChanged, Unreadable
from diptych.event import Event, event_type
from diptych.json_schema import schema_of
from diptych.log import EventStore

UPCAST = "raise the version and upcast from the old one"
CURE = f"give it back, or {UPCAST}"
PAGE = 1_000


def write_lock(path: str | Path, events: Iterable[type[Event]]) -> None:
    """
    Write the shapes of events as they are now.

    Raises:
        BadCatalogue: The event classes don't fit together.
    """
    text = msgspec.json.format(msgspec.json.encode(_locked(events), order="sorted"), indent=2)
    Path(path).write_bytes(text + b"\n")


def check_lock(path: str | Path, events: Iterable[type[Event]]) -> None:
    """
    Insist that every event that was ever stored can still be read, and that the lock is as new as the code.

    Raises:
        SchemaChanged: What stored events could not survive, and how to mend it; or that the lock is to be written anew.
        BadCatalogue: The event classes don't fit together.
    """
    events = list(events)
    old, new = msgspec.json.decode(Path(path).read_bytes()), _locked(events)
    by_name = {name: event_type(event).name for event in events for name in names_of(event)}
    broken = [problem for name in sorted(old) for problem in _event(name, old[name], new.get(by_name.get(name, "")))]
    if broken:
        raise SchemaChanged(path=str(path), broken=broken)
    if old != new:
        raise SchemaChanged(path=str(path), broken=())


async def check_log(event_store: EventStore) -> dict[tuple[str, int], int]:
    """
    Read the whole log, and insist that each event of a type which the code knows comes out of its upcasters as a value.

    Returns:
        How many events there are of each type and schema version, those of unknown types included.

    Raises:
        SchemaChanged: Some can't be read: the first of each type and version, with its position and why.
    """
    found: dict[tuple[str, int], int] = {}
    broken: dict[tuple[str, int], str] = {}
    position, head = 0, await event_store.head()
    while position < head:
        page = await event_store.page(position, limit=PAGE)
        for stored in page.events:
            kind = stored.type, stored.schema_version
            found[kind] = found.get(kind, 0) + 1
            try:
                event_store.codec.require(event_store.decode(stored))
            except Unreadable as error:
                broken.setdefault(kind, str(error))
        position = page.through
    if broken:
        raise SchemaChanged(path="this log", broken=broken.values())
    return found


def _locked(events: Iterable[type[Event]]) -> dict[str, Any]:
    return {
        event_type(event).name: {"version": event_type(event).version, "shape": schema_of(event)}
        for event in Catalogue.of(events)
    }


def _event(name: str, old: Any, new: Any | None) -> Iterator[str]:
    if new is None:
        yield f"{name} is gone: bring its class back, or name it in its successor, was=({name!r},)"
    elif new["version"] < old["version"]:
        yield f"{name} went back from version {old['version']} to {new['version']}: stored ones would be of newer code"
    elif new["version"] == old["version"]:
        yield from _shape(_Schema(old["shape"]), _Schema(new["shape"]), name)
    # A higher version has upcasters from each lower one: the catalogue insists on it.


class _Schema:
    """A JSON Schema, or a part of one, with the definitions that it refers to."""

    def __init__(self, whole: Any, part: Any | None = None) -> None:
        self._whole = whole
        part = whole if part is None else part
        while "$ref" in part:
            part = whole["$defs"][part["$ref"].rpartition("/")[2]]
        self.part: dict[str, Any] = part

    def at(self, part: Any) -> "_Schema":
        return _Schema(self._whole, part)

    @property
    def variants(self) -> "list[_Schema]":
        return [self.at(part) for part in self.part.get("anyOf", [self.part])]

    @property
    def kind(self) -> tuple[Any, Any]:
        """What JSON has there: its type and, for text, what the text says."""
        part = self.part
        is_text = all(isinstance(value, str) for value in part.get("enum", [None]))
        return part.get("type") or ("string" if is_text else None), part.get("format")


def _shape(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    """What was written as *old* and can't be read as *new*."""
    for variant in old.variants:
        problems = [list(_one(variant, candidate, path)) for candidate in new.variants]
        if all(problems):
            yield from min(problems, key=len)


def _one(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    if not new.part or new.kind == (None, None):  # anything may stand there
        return
    if old.kind != new.kind and (old.kind[0], new.kind[0]) != ("integer", "number"):
        yield f"{path} was {_told(old)} and is {_told(new)}: {CURE}"
        return
    if gone := [value for value in old.part.get("enum", ()) if value not in new.part.get("enum", [value])]:
        yield f"{path} can't be {', '.join(map(repr, gone))} any more: {CURE}"
    yield from _fields(old, new, path)
    for name in ("items", "additionalProperties"):
        if isinstance(old.part.get(name), dict) and isinstance(new.part.get(name), dict):
            yield from _shape(old.at(old.part[name]), new.at(new.part[name]), f"{path}[]")


def _fields(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    before, after = old.part.get("properties", {}), new.part.get("properties", {})
    for name in new.part.get("required", ()):
        if name not in before:
            yield f"{path}.{name} is new and stored events have none: give it a default, or {UPCAST}"
    for name in before:
        if name in after:
            yield from _shape(old.at(before[name]), new.at(after[name]), f"{path}.{name}")


def _told(schema: _Schema) -> str:
    kind, format = schema.kind
    return f"{kind or 'anything'}{f' ({format})' if format else ''}"
