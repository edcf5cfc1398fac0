from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID, uuid4
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.catalogue import Catalogue, upcast
from diptych.codec import MAX_DEPTH, Codec
from diptych.errors import BadCatalogue, NewerSchema, NotStorable, Unreadable
from diptych.event import Event, Metadata, RawEvent
from diptych.message import new_id
from diptych.store.port import NewEvent, StoredEvent


class Colour(Enum):
    RED = "red"


@dataclass(frozen=True)
class Part:
    price: Decimal
    made: date | None = None


class Everything(Event):
    text: str = ""
    number: int = 0
    ratio: float = 0.0
    yes: bool = False
    amount: Decimal = Decimal(0)
    at: datetime | None = None
    day: date | None = None
    id: UUID | None = None
    colour: Colour | None = None
    parts: list[Part] = field(default_factory=list)
    by_name: dict[str, Part] | None = None
    either: int | str | None = None
    anything: Any = None


codec = Codec(Catalogue([Everything]))


NOTHING = codec.encode_metadata(Metadata())


def stored(new: NewEvent, **changes: Any) -> StoredEvent:
    whole = StoredEvent(7, "S-1", "S", 3, new.type, new.schema_version, new.id, new.payload, new.metadata, 1_500_000)
    return msgspec.structs.replace(whole, **changes)


def test_the_same_value_comes_out_that_went_in() -> None:
    event = Everything(
        text="Tôkyô ☃",
        number=-(2**63),
        ratio=0.1,
        yes=True,
        amount=Decimal("14.00"),
        at=datetime(2026, 1, 2, 3, 4, 5, 678901, UTC),
        day=date(1996, 7, 4),
        id=uuid4(),
        colour=Colour.RED,
        parts=[Part(price=Decimal("0.10")), Part(price=Decimal(1), made=date(2026, 1, 1))],
        by_name={"a": Part(price=Decimal("2.5"))},
        either="x",
        anything={"deep": [1, None, "y"]},
    )

    recorded = codec.decode(stored(codec.encode(event, codec.encode_metadata(Metadata(actor="ann", extra={"k": 1})))))

    assert recorded.data == event
    assert str(recorded.data.amount) == "14.00"
    assert recorded.metadata == Metadata(actor="ann", extra={"k": 1})
    assert (recorded.stream_id, recorded.stream_type, recorded.version, recorded.global_position) == ("S-1", "S", 3, 7)
    assert recorded.recorded_at == datetime(1970, 1, 1, 0, 0, 1, 500_000, UTC)


@given(st.text(), st.integers(), st.floats(), st.decimals())
def test_a_value_is_either_refused_or_comes_back_the_same(t: str, n: int, f: float, d: Decimal) -> None:
    event = Everything(text=t, number=n, ratio=f, amount=d)

    try:
        new = codec.encode(event, NOTHING)
    except NotStorable:
        return

    assert codec.decode(stored(new)).data == event


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"text": "a\0b"}, "$.text", "NUL"),
    ({"text": "\ud800"}, "$.text", "surrogate"),
    ({"ratio": float("nan")}, "$.ratio", "nan"),
    ({"ratio": float("-inf")}, "$.ratio", "inf"),
    ({"amount": Decimal("NaN")}, "$.amount", "NaN"),
    ({"amount": Decimal("Infinity")}, "$.amount", "Infinity"),
    ({"number": 2**63}, "$.number", "64 bits"),
    ({"number": -(2**63) - 1}, "$.number", "64 bits"),
    ({"number": int("9" * 4000)}, "$.number", "64 bits"),
    ({"at": datetime(2026, 1, 1)}, "$.at", "time zone"),  # noqa: DTZ001
    ({"number": "7"}, "$.number", "Expected `int`"),
    ({"parts": [Part(price=Decimal(1)), Part(price=Decimal("sNaN"))]}, "$.parts[1].price", "NaN"),
    ({"anything": {"k": ["x", "\0"]}}, "$.anything['k'][1]", "NUL"),
    ({"anything": {"\0": 1}}, "$.anything['\\x00']", "NUL"),
    ({"anything": nested(MAX_DEPTH + 1)}, "$.anything" + "[0]" * (MAX_DEPTH - 1), "nested"),
    ({"anything": nested(100_000)}, "$.anything" + "[0]" * (MAX_DEPTH - 1), "nested"),
    ({"anything": Decimal(1)}, "$.anything", "come back unchanged"),
    ({"anything": object()}, "$.anything", "object"),
    ({"text": "x" * 1_100_000}, "$", "bytes"),
]


@pytest.mark.parametrize(("values", "path", "why"), REFUSED, ids=[why for _, _, why in REFUSED])
def test_what_would_not_come_back_is_refused_with_its_path(values: dict[str, Any], path: str, why: str) -> None:
    with pytest.raises(NotStorable) as refused:
        codec.encode(Everything(**values), NOTHING)

    assert refused.value.path == path
    assert why in refused.value.why


def test_a_time_of_another_zone_is_the_same_instant_when_it_returns() -> None:
    at = datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=2)))

    assert codec.decode(stored(codec.encode(Everything(at=at), NOTHING))).data.at == at


def test_an_hour_that_comes_twice_is_told_apart() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    first = datetime(2026, 10, 25, 2, 30, tzinfo=berlin)

    for at, hour in ((first, 0), (first.replace(fold=1), 1)):
        event = Everything(at=at, anything={"nested": [1, 2]})
        assert codec.decode(stored(codec.encode(event, NOTHING))).data.at == datetime(
            2026, 10, 25, hour, 30, tzinfo=UTC
        )


@pytest.mark.parametrize(
    ("metadata", "path", "why"),
    [
        (Metadata(actor="a\0"), "$.actor", "NUL"),
        (Metadata(extra={"ratio": float("nan")}), "$.extra['ratio']", "nan"),
        (Metadata(extra={"at": datetime(2026, 1, 1, tzinfo=UTC)}), "$.extra", "unchanged"),
        (Metadata(extra={"it": object()}), "$.extra['it']", "no form"),
        (Metadata(actor=5), "$", "Expected `str | null`"),  # type: ignore[arg-type]
        (Metadata(extra={"long": "x" * 70_000}), "$", "more than 65536"),
    ],
)
def test_metadata_that_would_not_come_back_is_refused(metadata: Metadata, path: str, why: str) -> None:
    with pytest.raises(NotStorable) as refused:
        codec.encode_metadata(metadata)

    assert refused.value.path == path
    assert why in refused.value.why


def test_metadata_is_shared_only_by_events_that_were_appended_with_the_same() -> None:
    def decoded(metadata: bytes) -> Metadata:
        raw = StoredEvent(7, "S-1", "S", 1, "Unknown", 1, new_id(), b"{}", metadata, 1)
        return codec.decode(raw).metadata

    both = [decoded(b'{"actor":"ann"}'), decoded(b'{"actor":"ann"}')]
    assert both == [Metadata(actor="ann")] * 2
    assert both[0] is both[1]
    both[0].extra["seen"] = True
    assert decoded(b'{"actor":"ann"}').extra == {}
    decoded(b'{"extra":{"k":1}}').extra["k"] = 2
    assert decoded(b'{"extra":{"k":1}}').extra == {"k": 1}
    assert decoded(b"{}") == Metadata()


def test_an_unknown_type_is_read_raw() -> None:
    recorded = codec.decode(stored(codec.encode(Everything(), NOTHING), type="Gone", payload=b'{"a":1}'))

    assert recorded.data == RawEvent("Gone", 1, {"a": 1})
    codec.require(recorded)


def test_a_newer_schema_version_is_read_raw_and_refused_only_to_those_who_need_it() -> None:
    recorded = codec.decode(stored(codec.encode(Everything(), NOTHING), schema_version=2))

    assert isinstance(recorded.data, RawEvent)
    with pytest.raises(NewerSchema, match="newer than this code's 1"):
        codec.require(recorded)


def test_a_payload_that_does_not_fit_its_class_names_type_and_position() -> None:
    broken = stored(codec.encode(Everything(), NOTHING), payload=b'{"number":"x"}')

    with pytest.raises(Unreadable, match="'Everything' at position 7.*Expected `int`"):
        codec.decode(broken)


def test_an_event_outside_the_catalogue_is_refused() -> None:
    class Stranger(Event):
        pass

    with pytest.raises(BadCatalogue, match="Stranger is not in the catalogue"):
        codec.encode(Stranger(), NOTHING)


class Renamed(Event, version=3, name="Line", was=("OldLine",)):
    product: str
    quantity: int = 1
    note: str | None = None


@upcast(Renamed, from_version=1)
def _split(payload: dict[str, Any]) -> dict[str, Any]:
    return {"product": payload["sku"]}


@upcast(Renamed, from_version=2)
def _count(payload: dict[str, Any]) -> dict[str, Any]:
    return payload | {"quantity": 2}


@pytest.mark.parametrize("name", ["Line", "OldLine"])
@pytest.mark.parametrize(
    ("version", "payload", "expected"),
    [
        (1, b'{"sku":"a"}', Renamed(product="a", quantity=2)),
        (2, b'{"product":"b"}', Renamed(product="b", quantity=2)),
        (3, b'{"product":"c","quantity":5}', Renamed(product="c", quantity=5)),
    ],
)
def test_older_versions_and_names_are_lifted_step_by_step(
    name: str, version: int, payload: bytes, expected: Renamed
) -> None:
    event = StoredEvent(1, "s", "S", 1, name, version, "id", payload, b"{}", 0)

    assert Codec(Catalogue([Renamed])).decode(event).data == expected


def test_a_failing_upcaster_names_the_event_it_failed_on() -> None:
    event = StoredEvent(4, "s", "S", 1, "Line", 1, "id", b"{}", b"{}", 0)

    with pytest.raises(Unreadable, match="'Line' at position 4"):
        Codec(Catalogue([Renamed])).decode(event)


def refuse(make: Callable[[], object], match: str) -> None:
    with pytest.raises(BadCatalogue, match=match):
        make()


def test_a_gap_in_a_chain_of_upcasters_is_found_at_start_up() -> None:
    class Gapped(Event, version=3):
        pass

    upcast(Gapped, from_version=1)(lambda payload: payload)

    refuse(lambda: Catalogue([Gapped]), "without an upcaster from version 2")


def test_an_upcaster_needs_a_version_to_lift_to_and_comes_once() -> None:
    refuse(lambda: upcast(Everything, from_version=1), "raise `version=` first")
    refuse(lambda: upcast(Renamed, from_version=1)(lambda payload: payload), "already")


def test_two_classes_of_one_stored_name_are_refused() -> None:
    class Other(Event, name="Everything"):
        pass

    refuse(lambda: Catalogue([Everything, Other]), "both stored as 'Everything'")


def test_a_class_that_json_cannot_give_back_is_refused_at_start_up() -> None:
    class Odd(Event):
        what: list[int] | set[int]

    refuse(lambda: Codec(Catalogue([Odd])), "Odd can't be stored as JSON")
