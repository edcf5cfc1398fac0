"""The lock's verdict on a change of an event is what the codec then does with stored ones."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import pytest
from msgspec import Meta

from diptych import (
    ANY,
    Catalogue,
    Codec,
    Event,
    EventStore,
    Metadata,
    SchemaChanged,
    Unreadable,
    check_lock,
    check_log,
    new_id,
    open_store,
    upcast,
    write_lock,
)
from diptych.store.port import Append, NewEvent, StoredEvent, StreamAppend


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class Grey(Enum):
    RED = "red"


class More(Enum):
    RED = "red"
    BLUE = "blue"
    GREEN = "green"


@dataclass(frozen=True)
class Inner:
    a: int


@dataclass(frozen=True)
class Wider:
    a: int
    b: int


@dataclass(frozen=True)
class Defaulted:
    a: int
    b: int = 0


class Number(IntEnum):
    ONE = 1
    TWO = 2


class Fewer(IntEnum):
    ONE = 1


class Open(msgspec.Struct, frozen=True):
    a: int
    b: int


class Shut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    a: int


class Node(msgspec.Struct, frozen=True):
    next: "Node | None" = None


class Outer(msgspec.Struct, frozen=True):
    inner: list["Turned"]


class Turned(msgspec.Struct, frozen=True):
    value: int
    outer: list[Outer]


class Wrapped(msgspec.Struct, frozen=True):
    inner: list["Looped"]


class Looped(msgspec.Struct, frozen=True):
    value: int
    outer: list["Looped"]


class Tree(msgspec.Struct, frozen=True):
    branches: list["Tree"]


def event(fields: dict[str, Any], defaults: dict[str, Any] | None = None, **keywords: Any) -> type[Event]:
    """An event class of these fields."""
    namespace = {"__annotations__": fields, "__module__": __name__, **(defaults or {})}
    return type("Happened", (Event,), namespace, **keywords)


BASE = {"text": str}
CHANGES: list[tuple[Callable[[], type[Event]], dict[str, Any], Callable[[], type[Event]], str | None]] = [
    (lambda: event(BASE), {"text": "x"}, lambda: event({**BASE, "n": int}), "n is new"),
    (lambda: event(BASE), {"text": "x"}, lambda: event({**BASE, "n": int}, {"n": 1}), None),
    (lambda: event({**BASE, "n": int}), {"text": "x", "n": 1}, lambda: event(BASE), None),
    (lambda: event(BASE), {"text": "x"}, lambda: event({"text": str | None}), None),
    (lambda: event({"text": str | None}), {"text": None}, lambda: event(BASE), "was null and is string"),
    (lambda: event(BASE), {"text": "x"}, lambda: event({"text": int}), "was string and is integer"),
    (lambda: event({"n": int}), {"n": 1}, lambda: event({"n": float}), None),
    (lambda: event({"n": float}), {"n": 1.5}, lambda: event({"n": int}), "was number and is integer"),
    (lambda: event({"n": int}), {"n": 1}, lambda: event({"n": int | str}), None),
    (lambda: event({"n": int | str}), {"n": "x"}, lambda: event({"n": int}), "was string and is integer"),
    (lambda: event({"on": date}), {"on": date(2026, 1, 1)}, lambda: event({"on": datetime}), "(date) and is string"),
    (lambda: event({"p": Decimal}), {"p": Decimal("1.5")}, lambda: event({"p": int}), "(decimal) and is integer"),
    (lambda: event({"c": Colour}), {"c": Colour.BLUE}, lambda: event({"c": Grey}), "can't be 'blue' any more"),
    (lambda: event({"c": Colour}), {"c": Colour.BLUE}, lambda: event({"c": More}), None),
    (lambda: event({"i": Inner}), {"i": Inner(1)}, lambda: event({"i": Wider}), "i.b is new"),
    (lambda: event({"i": Inner}), {"i": Inner(1)}, lambda: event({"i": Defaulted}), None),
    (lambda: event({"i": list[Inner]}), {"i": [Inner(1)]}, lambda: event({"i": list[Wider]}), "i[].b is new"),
    (lambda: event({"i": dict[str, int]}), {"i": {"a": 1}}, lambda: event({"i": dict[str, str]}), "i[] was integer"),
    (lambda: event({"i": int}), {"i": 1}, lambda: event({"i": Any}), None),
    (lambda: event({"i": Any}), {"i": "x"}, lambda: event({"i": int}), "was anything and is integer"),
    (lambda: event({"n": int}), {"n": 1}, lambda: event({"n": Decimal}), None),
    (lambda: event({"n": Number}), {"n": Number.TWO}, lambda: event({"n": Fewer}), "can't be 2 any more"),
    (lambda: event({"n": Number}), {"n": Number.TWO}, lambda: event({"n": int}), None),
    (lambda: event({"n": int}), {"n": 7}, lambda: event({"n": Literal[1, 2]}), "was any integer and is only 1, 2"),
    (lambda: event({"n": Literal["a", 1]}), {"n": 1}, lambda: event({"n": str}), "was integer and is string"),
    (lambda: event(BASE), {"text": "!"}, lambda: event({"text": bytes}), "is string (base64)"),
    (lambda: event({"text": bytes}), {"text": b"x"}, lambda: event(BASE), None),
    (lambda: event(BASE), {"text": "x"}, lambda: event({"text": time}), "is string (time)"),
    (lambda: event({"on": date}), {"on": date(2026, 1, 1)}, lambda: event({"on": str}), None),
    (lambda: event({"t": tuple[int, int]}), {"t": (1, 2)}, lambda: event({"t": tuple[int, str]}), "t[1] was integer"),
    (lambda: event({"t": tuple[int, int]}), {"t": (1, 2)}, lambda: event({"t": tuple[int]}), "maxItems 1, 2 before"),
    (lambda: event({"t": tuple[int, int]}), {"t": (1, 2)}, lambda: event({"t": list[int]}), None),
    (lambda: event({"t": tuple[int, str]}), {"t": (1, "a")}, lambda: event({"t": list[int]}), "t[1] was string"),
    (lambda: event({"t": list[int]}), {"t": [1, 2, 3]}, lambda: event({"t": tuple[int, int]}), "minItems 2, none"),
    (lambda: event({"n": int}), {"n": -1}, lambda: event({"n": Annotated[int, Meta(ge=0)]}), "has minimum 0, none"),
    (lambda: event({"n": Annotated[int, Meta(ge=0)]}), {"n": 1}, lambda: event({"n": int}), None),
    (lambda: event(BASE), {"text": "xy"}, lambda: event({"text": Annotated[str, Meta(max_length=1)]}), "maxLength 1"),
    (lambda: event({"i": Open}), {"i": Open(1, 2)}, lambda: event({"i": Shut}), "i.b is gone, and what isn't known"),
    (lambda: event({"i": dict[str, int]}), {"i": {"a": 1}}, lambda: event({"i": dict[int, int]}), "(its keys) was"),
    (lambda: event({"i": dict[int, int]}), {"i": {1: 1}}, lambda: event({"i": dict[str, int]}), None),
    (lambda: event({"i": Inner}), {"i": Inner(1)}, lambda: event({"i": dict[str, str]}), "i.a was integer"),
    (lambda: event({"i": Node}), {"i": Node(Node())}, lambda: event({"i": Node, "n": int}, {"n": 1}), None),
    (
        lambda: event({"i": Outer}),
        {"i": Outer([Turned(1, [Outer([])])])},
        lambda: event({"i": Wrapped}),
        "value is new",
    ),
    (lambda: event({"i": Tree}), {"i": Tree([Tree([])])}, lambda: event({"i": Tree, "n": int}, {"n": 1}), None),
]


@pytest.mark.parametrize(("old", "values", "new", "complaint"), CHANGES)
def test_a_change_is_refused_if_and_only_if_a_stored_event_does_not_survive_it(
    old: Callable[[], type[Event]],
    values: dict[str, Any],
    new: Callable[[], type[Event]],
    complaint: str | None,
    tmp_path: Path,
) -> None:
    lock, before, after = tmp_path / "lock.json", old(), new()
    write_lock(lock, [before])
    check_lock(lock, [before])

    with pytest.raises(SchemaChanged) as changed:
        check_lock(lock, [after])

    assert bool(changed.value.broken) is (complaint is not None)
    assert complaint is None or complaint in str(changed.value)
    assert survives(before(**values), after) is (complaint is None)
    write_lock(lock, [after])
    check_lock(lock, [after])


def survives(happened: Event, after: type[Event]) -> bool:
    codec = Codec(Catalogue.of([type(happened)]))
    encoded = codec.encode(happened, codec.encode_metadata(Metadata()))
    stored = StoredEvent(1, "s", "S", 1, encoded.type, 1, encoded.id, encoded.payload, encoded.metadata, 0)
    try:
        Codec(Catalogue.of([after])).decode(stored)
    except Unreadable:
        return False
    return True


def test_an_event_that_is_gone_is_missed_unless_a_successor_names_it(tmp_path: Path) -> None:
    class Renamed(Event, was=("Happened",)):
        text: str

    class Other(Event):
        pass

    lock = tmp_path / "lock.json"
    write_lock(lock, [event(BASE)])

    with pytest.raises(SchemaChanged, match=r"Happened is gone: bring its class back.*was=\('Happened',\)"):
        check_lock(lock, [Other])
    with pytest.raises(SchemaChanged, match="every stored event can still be read, but .* write it anew"):
        check_lock(lock, [Renamed])


def test_a_version_may_rise_with_an_upcaster_and_never_fall(tmp_path: Path) -> None:
    first, second = event(BASE), event({"n": int}, version=2)

    @upcast(second, from_version=1)
    def _counted(old: dict[str, Any]) -> dict[str, Any]:
        return {"n": len(old["text"])}

    lock = tmp_path / "lock.json"
    write_lock(lock, [first])
    with pytest.raises(SchemaChanged, match="write it anew"):
        check_lock(lock, [second])
    write_lock(lock, [second])
    with pytest.raises(SchemaChanged, match="Happened went back from version 2 to 1"):
        check_lock(lock, [first])


async def test_a_log_is_read_type_by_type_and_what_can_not_be_read_is_named() -> None:
    happened: Any = event(BASE)
    async with open_store("memory://", [happened]) as event_store:
        await event_store.append_events(stream_id="s", stream_type="S", events=[happened(text="x")] * 3)
        await put(event_store, "Unknown", 1, b"{}")
        assert await check_log(event_store) == {("Happened", 1): 3, ("Unknown", 1): 1}

        await put(event_store, "Happened", 1, b'{"text": 1}')
        await put(event_store, "Happened", 2, b"{}")
        with pytest.raises(SchemaChanged) as changed:
            await check_log(event_store)

    assert ["Expected `str`" in changed.value.broken[0], "newer than this code's 1" in changed.value.broken[1]] == [
        True,
        True,
    ]


async def put(event_store: EventStore, type: str, version: int, payload: bytes) -> None:
    stored = NewEvent(new_id(), type, version, payload, b"{}")
    await event_store.store.append(Append(stored.id, [StreamAppend("t", "T", ANY, [stored])]))
