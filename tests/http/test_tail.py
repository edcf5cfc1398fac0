"""The end of a log, followed once for everybody: nobody is given what was before he came, or is no more."""

import asyncio
from decimal import Decimal
from typing import Any

import pytest
from tests.faults.waiting import until
from typing_extensions import override

from diptych import EventStore
from diptych.catalogue import Catalogue
from diptych.codec import Codec
from diptych.edge.fastapi import tail as followed
from diptych.edge.fastapi.tail import Tail
from diptych.errors import LogRewound, Unavailable
from diptych.store.memory import MemoryStore
from diptych.store.port import Page

from .conftest import Noted

NOTED = Noted(note_id="1", text="one", price=Decimal(1), at=None)


class Held(MemoryStore):
    """A log whose pages are read, and held back until they may go."""

    def __init__(self) -> None:
        super().__init__()
        self.was_read, self.may_go = asyncio.Event(), asyncio.Event()

    @override
    async def read(self, after: int, **only: Any) -> Page:
        page = await super().read(after, **only)
        self.was_read.set()
        await self.may_go.wait()
        return page


class FailingOver(MemoryStore):
    """A log whose server may be replaced by one that lacks the last events; its head can't be read a few times."""

    def __init__(self) -> None:
        super().__init__()
        self.servers, self.away = 1, 0

    @property
    @override
    def connections(self) -> int:
        return self.servers

    @override
    async def head(self) -> int:
        if self.away:
            self.away -= 1
            raise Unavailable("the log is away")
        return await super().head()

    def fail_over(self) -> None:
        """Go on with a server that lacks the last event."""
        lost = self._events.pop()
        del self._by_id[lost.id]
        self._streams[lost.stream].remove(lost)
        self._waiters.forget()
        self.servers += 1


def at(tail: Tail) -> int:
    """How far it is followed."""
    return tail._through


async def noted(event_store: EventStore) -> int:
    """The position of one event more."""
    return (await event_store.append_events(stream_id="Note-1", stream_type="Note", events=[NOTED])).position


async def followed_and_lost(tail: Tail, event_store: EventStore, store: FailingOver) -> int:
    """The position of an event that was followed, and that the next server lacks."""
    lost = await noted(event_store)
    await until(lambda: at(tail) == lost, "the event was not followed")
    store.fail_over()
    return lost


async def test_who_comes_when_a_read_is_over_is_not_given_what_it_found() -> None:
    store = Held()
    event_store = EventStore(store, Codec(Catalogue([Noted])))
    tail = Tail(event_store, ["Note"])
    early = asyncio.create_task(tail.after(0))
    await store.was_read.wait()
    noted = await event_store.append_events(stream_id="Note-1", stream_type="Note", events=[NOTED])

    store.may_go.set()
    await asyncio.sleep(0)  # the read ends in this turn of the event loop; who waits for it learns that in the next
    late = await tail.after(0)

    assert late.through == noted.position
    assert (await early).through == 0


async def test_who_comes_after_a_fail_over_is_told_what_is_there_and_nothing_that_was() -> None:
    event_store = EventStore(store := FailingOver(), Codec(Catalogue([Noted])))
    tail = Tail(event_store, ["Note"])
    kept = await noted(event_store)
    async with tail.watched():
        lost = await followed_and_lost(tail, event_store, store)
        with pytest.raises(LogRewound):
            await asyncio.wait_for(ended(tail, lost), 60)

    async with tail.watched():
        assert (await tail.after(kept)).through == kept
        instead = await noted(event_store)
        await tail.beyond(kept, 60)
        assert (await tail.after(kept)).through == instead


async def test_who_comes_where_following_ended_does_not_end_with_it() -> None:
    event_store = EventStore(store := FailingOver(), Codec(Catalogue([Noted])))
    tail = Tail(event_store, ["Note"])
    kept = await noted(event_store)
    async with tail.watched():  # by somebody slow, who stays
        lost = await followed_and_lost(tail, event_store, store)
        with pytest.raises(LogRewound):
            await asyncio.wait_for(ended(tail, lost), 60)

        async with tail.watched():
            await tail.beyond(kept, 0.01)


async def test_a_log_that_went_back_is_found_though_its_head_could_not_be_read_at_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(followed, "POLL_S", 0.01)
    event_store = EventStore(store := FailingOver(), Codec(Catalogue([Noted])))
    tail = Tail(event_store, ["Note"])
    await noted(event_store)
    async with tail.watched():
        lost = await followed_and_lost(tail, event_store, store)
        store.away = 1

        with pytest.raises(LogRewound):
            await asyncio.wait_for(ended(tail, lost), 60)


async def test_a_log_that_has_other_events_by_now_is_found_though_it_is_longer() -> None:
    event_store = EventStore(store := FailingOver(), Codec(Catalogue([Noted])))
    tail = Tail(event_store, ["Note"])
    await noted(event_store)
    async with tail.watched():
        lost = await followed_and_lost(tail, event_store, store)
        assert await noted(event_store) == lost
        await noted(event_store)

        with pytest.raises(LogRewound):
            await asyncio.wait_for(ended(tail, lost), 60)


async def test_who_read_before_the_tail_began_is_woken_when_it_has() -> None:
    event_store = EventStore(FailingOver(), Codec(Catalogue([Noted])))
    tail = Tail(event_store, ["Note"])
    before = await tail.after(0)
    await noted(event_store)
    async with tail.watched():
        await asyncio.wait_for(tail.beyond(before.through, 3600), 60)


async def ended(tail: Tail, position: int) -> None:
    """Wait until following ends, as who watches finds out."""
    while True:
        await tail.beyond(position, 0.01)
