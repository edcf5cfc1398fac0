"""What no log gives back is refused with its place; what a foreign hand stored is read safely: on every store alike."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.faults.tallies import Tallied, Tallies

from diptych import ANY, Event, EventStore, NewerSchema, NotStorable, RawEvent, Unreadable, open_read_db, open_store
from diptych.read.synchronizer import ReadModelSynchronizer
from diptych.store.port import Append, NewEvent, StreamAppend


class Anything(Event):
    what: Any
    price: Decimal = Decimal(0)
    at: datetime | None = None


def nested(depth: int, inner: Any = 1) -> Any:
    value = inner
    for _ in range(depth):
        value = [value]
    return value


@pytest.fixture(params=["memory", "sqlite"])
async def event_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/log.db"
    async with open_store(url, [Anything, Tallied]) as opened:
        yield opened


@pytest.mark.parametrize(
    ("values", "path", "why"),
    [
        ({"what": "a\0b"}, "$.what", "a NUL character"),
        ({"what": {"k": ["a\0b"]}}, "$.what['k'][0]", "a NUL character"),
        ({"what": {"a\0b": 1}}, "$.what['a\\x00b']", "a NUL character"),
        ({"what": "\ud800"}, "$.what", "a lone surrogate"),
        ({"what": float("nan")}, "$.what", "nan is not a number"),
        ({"what": [float("inf")]}, "$.what[0]", "inf is not a number"),
        ({"what": 2**63}, "$.what", "an integer beyond 64 bits"),
        ({"what": 10**5_000}, "$.what", "an integer beyond 64 bits"),
        ({"what": -(2**63) - 1}, "$.what", "an integer beyond 64 bits"),
        ({"what": 1, "price": Decimal("NaN")}, "$.price", "NaN is not a number"),
        ({"what": 1, "price": Decimal("Infinity")}, "$.price", "Infinity is not a number"),
        ({"what": 1, "at": datetime(2026, 1, 1)}, "$.at", "a datetime without a time zone"),  # noqa: DTZ001
        ({"what": nested(64)}, "$.what[0]", "nested more than 64 deep"),
        ({"what": nested(100_000)}, "$.what[0]", "nested more than 64 deep"),
        ({"what": "x" * 50_000_000}, "$", "bytes, more than 1048576 are refused"),
        ({"what": object()}, "$.what", "JSON has no form for object"),
    ],
)
async def test_a_value_that_no_log_gives_back_is_refused_with_its_place(
    event_store: EventStore, values: dict[str, Any], path: str, why: str
) -> None:
    event = Anything(**values)

    with pytest.raises(NotStorable) as refused:
        await event_store.append_events(stream_id="s", stream_type="S", events=[Tallied(name="x", number=1), event])

    assert refused.value.path.startswith(path)
    assert why in refused.value.why
    assert await event_store.read_all() == []


FOREIGN: list[tuple[bytes, bool]] = [
    (b'{"a": 1, "a": 2}', True),
    (b'{"a": ' + b"1" * 5_000 + b"}", False),
    (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", False),
    (b'{"a": "\xff\xfe"}', False),
    (b'{"a": NaN}', False),
    (b"[1]", False),
    (b"null", False),
    (b"nonsense", False),
    (b"", False),
]


@pytest.mark.parametrize(("payload", "is_read"), FOREIGN, ids=[repr(payload[:30]) for payload, _ in FOREIGN])
async def test_what_a_foreign_hand_stored_is_read_raw_or_named_and_holds_up_nobody(
    event_store: EventStore, tmp_path: Path, payload: bytes, is_read: bool
) -> None:
    await put(event_store, "Unknown", payload)
    if is_read:
        assert isinstance((await event_store.read_all())[0].data, RawEvent)
    else:
        with pytest.raises(Unreadable, match="event 'Unknown' at position"):
            await event_store.read_all()

    appended = await event_store.append_events(stream_id="t", stream_type="T", events=[Tallied(name="x", number=1)])
    await follows(event_store, tmp_path, appended.position)


async def test_an_event_of_newer_code_is_read_raw_and_refused_to_who_needs_it(event_store: EventStore) -> None:
    await put(event_store, "Tallied", b'{"what": "else"}', version=2)

    [recorded] = await event_store.read_all()

    assert recorded.data == RawEvent("Tallied", 2, {"what": "else"})
    with pytest.raises(NewerSchema):
        event_store.codec.require(recorded)


async def put(event_store: EventStore, type: str, payload: bytes, *, version: int = 1) -> None:
    event = NewEvent("foreign", type, version, payload, b"{}")
    await event_store.store.append(Append("foreign", [StreamAppend("s", "S", ANY, [event])]))


async def follows(event_store: EventStore, folder: Path, position: int) -> None:
    """A projection that does not handle what is broken gets past it."""
    async with open_read_db(f"sqlite:///{folder}/read.db") as read_db:
        synchronizer = ReadModelSynchronizer(event_store, read_db, [Tallies])
        running = asyncio.create_task(synchronizer.run())
        reached = await synchronizer.wait_for("tallies", position, timeout=30)
        synchronizer.stop()
        await running
    assert not reached.stale
