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
from diptych.errors import BadFile, SchemaChanged, Unreadable
from diptych.event import Event, event_type
from diptych.json_schema import schema_of
from diptych.log import EventStore
from diptych.past import check_goes_further

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
        BadFile: There is no lock at that path.
    """
    events = list(events)
    old, new = _read(path), _locked(events)
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
        check_goes_further(page, position, head)
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


def _read(path: str | Path) -> dict[str, Any]:
    cure = "write one with `diptych schema lock` and commit it, or name another file"
    try:
        return msgspec.json.decode(Path(path).read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise BadFile(f"no lock can be read at {path}: {error.strerror}; {cure}") from error
    except msgspec.DecodeError as error:
        raise BadFile(f"{path} is no lock: {error}; {cure}") from error


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
    """A JSON Schema or a part of one; *way* has the pairs that were compared on the way to it."""

    def __init__(self, whole: Any, part: Any | None = None, way: frozenset[tuple[int, int]] = frozenset()) -> None:
        self._whole, self.way = whole, way
        part = whole if part is None else part
        while "$ref" in part:
            part = whole["$defs"][part["$ref"].rpartition("/")[2]]
        self.part: dict[str, Any] = part

    def at(self, part: Any) -> "_Schema":
        return _Schema(self._whole, part, self.way)

    def on_the_way(self, pair: tuple[int, int]) -> "_Schema":
        return _Schema(self._whole, self.part, self.way | {pair})

    @property
    def variants(self) -> "list[_Schema]":
        """What may stand there, each of one JSON type."""
        if "enum" not in self.part:
            return [self.at(part) for part in self.part.get("anyOf", [self.part])]
        by_type: dict[str, list[Any]] = {}
        for value in self.part["enum"]:
            by_type.setdefault(_TYPES[type(value)], []).append(value)
        return [self.at({"type": kind, "enum": values}) for kind, values in by_type.items()]

    @property
    def form(self) -> Any:
        """What a text says, if it is more than a text."""
        return self.part.get("format") or self.part.get("contentEncoding")


_TYPES = {str: "string", int: "integer", bool: "boolean", float: "number", type(None): "null"}
_AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_ANYTHING: dict[str, Any] = {}


def _shape(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    """What was written as *old* and can't be read as *new*."""
    for variant in old.variants:
        problems = [list(_one(variant, candidate, path)) for candidate in new.variants]
        if all(problems):
            yield from min(problems, key=len)


def _one(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    pair = id(old.part), id(new.part)
    if new.part == _ANYTHING or pair in old.way:  # the latter of a class that has itself inside
        return
    yield from _compared(old.on_the_way(pair), new, path)


def _compared(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    if not _is_read_as(old, new):
        yield f"{path} was {_told(old)} and is {_told(new)}: {CURE}"
        return
    yield from _values(old, new, path)
    yield from _limits(old, new, path)
    yield from _fields(old, new, path)
    yield from _items(old, new, path)


def _is_read_as(old: _Schema, new: _Schema) -> bool:
    before, after = old.part.get("type"), new.part.get("type")
    if before in ("integer", "number"):
        return after in (before, "number") or new.form == "decimal"
    if before == after == "string":
        return new.form in (None, old.form)
    return bool(before == after)


def _values(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    if "enum" not in new.part:
        return
    allowed = ", ".join(map(repr, new.part["enum"]))
    if "enum" not in old.part:
        yield f"{path} was any {old.part.get('type')} and is only {allowed}: {CURE}"
    elif gone := [value for value in old.part["enum"] if value not in new.part["enum"]]:
        yield f"{path} can't be {', '.join(map(repr, gone))} any more: {CURE}"


def _limits(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    """Bounds that are narrower than they were."""
    for name, bound in new.part.items():
        was = old.part.get(name)
        narrower = (
            (name in _AT_LEAST and (was is None or was < bound))
            or (name in _AT_MOST and (was is None or was > bound))
            or (name in ("multipleOf", "pattern") and was != bound)
        )
        if narrower:
            yield f"{path} has {name} {bound!r}, {'none' if was is None else repr(was)} before: {CURE}"


def _fields(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    before, after = old.part.get("properties", {}), new.part.get("properties", {})
    others, now_others = old.part.get("additionalProperties"), new.part.get("additionalProperties")
    for name in new.part.get("required", ()):
        if name not in before:
            yield f"{path}.{name} is new and stored events have none: give it a default, or {UPCAST}"
    for name in before:
        if name in after:
            yield from _shape(old.at(before[name]), new.at(after[name]), f"{path}.{name}")
        elif now_others is False:
            yield f"{path}.{name} is gone, and what isn't known is refused: {CURE}"
        elif now_others is not None:
            yield from _shape(old.at(before[name]), new.at(now_others), f"{path}.{name}")
    if isinstance(others, dict) and isinstance(now_others, dict):
        yield from _shape(old.at(others), new.at(now_others), f"{path}[]")
        yield from _keys(old, new, path)


def _keys(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    text = {"type": "string"}
    before, after = old.part.get("propertyNames", text), new.part.get("propertyNames", text)
    if after != text:  # every key is a text
        yield from _shape(old.at(before), new.at(after), f"{path} (its keys)")


def _items(old: _Schema, new: _Schema, path: str) -> Iterator[str]:
    """The items of a list and of a tuple, by their places."""
    before, after = old.part.get("prefixItems", []), new.part.get("prefixItems", [])
    rest, now_rest = old.part.get("items"), new.part.get("items")
    for place, item in enumerate(before):
        if place < len(after):
            yield from _shape(old.at(item), new.at(after[place]), f"{path}[{place}]")
        elif isinstance(now_rest, dict):
            yield from _shape(old.at(item), new.at(now_rest), f"{path}[{place}]")
    if isinstance(rest, dict) and isinstance(now_rest, dict):
        yield from _shape(old.at(rest), new.at(now_rest), f"{path}[]")


def _told(schema: _Schema) -> str:
    kind = schema.part.get("type") or "anything"
    return f"{kind} ({schema.form})" if schema.form else kind
