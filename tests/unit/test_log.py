"""What can't be meant is refused before the store is asked, on every store alike."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from diptych import Event, EventStore, Misuse, NotStorable, open_store


class Happened(Event):
    what: str


@pytest.fixture(params=["memory", "sqlite"])
async def event_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/log.db"
    async with open_store(url, [Happened]) as opened:
        yield opened


@pytest.mark.parametrize(
    "question",
    [{"limit": 0}, {"limit": -1}, {"limit": 2**70}, {"from_position": -1}, {"from_position": 2**70}, {"limit": "5"}],
    ids=str,
)
async def test_a_range_that_is_none_is_refused(event_store: EventStore, question: dict[str, Any]) -> None:
    with pytest.raises(Misuse, match="give a number from"):
        await event_store.read_all(**question)


async def test_a_range_of_a_stream_that_is_none_is_refused(event_store: EventStore) -> None:
    with pytest.raises(Misuse, match="from_version is -1"):
        await event_store.read_stream("a", from_version=-1)
    with pytest.raises(Misuse, match="limit is 0"):
        await event_store.read_stream("a", limit=0)
    with pytest.raises(NotStorable, match="lone surrogate"):
        await event_store.read_stream("\ud800")


@pytest.mark.parametrize(
    ("changed", "refusal"),
    [
        ({"stream_id": ""}, Misuse),
        ({"stream_type": ""}, Misuse),
        ({"stream_id": "\ud800"}, NotStorable),
        ({"stream_id": "a\0b"}, NotStorable),
        ({"expected_version": "2"}, Misuse),
        ({"expected_version": -1}, Misuse),
        ({"expected_version": True}, Misuse),
        ({"events": []}, Misuse),
    ],
    ids=str,
)
async def test_an_append_that_nobody_can_mean_is_refused(
    event_store: EventStore, changed: dict[str, Any], refusal: type[Exception]
) -> None:
    append = {"stream_id": "s", "stream_type": "S", "events": [Happened(what="x")], **changed}

    with pytest.raises(refusal):
        await event_store.append_events(**append)
    assert await event_store.read_all() == []


async def test_an_append_that_is_named_happens_once_however_often_it_is_sent(event_store: EventStore) -> None:
    append: dict[str, Any] = {"stream_id": "s", "stream_type": "S", "events": [Happened(what="x")], "append_id": "a-1"}

    first = await event_store.append_events(**append)
    await event_store.append_events(stream_id="s", stream_type="S", events=[Happened(what="y")])

    assert await event_store.append_events(**append) == first
    assert [event.data.what for event in await event_store.read_all()] == ["x", "y"]
