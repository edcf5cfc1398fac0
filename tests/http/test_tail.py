"""The end of a log, followed once for everybody: nobody is given what was read before he came."""

import asyncio
from decimal import Decimal
from typing import Any

from typing_extensions import override

from diptych import EventStore
from diptych.catalogue import Catalogue
from diptych.codec import Codec
from diptych.edge.fastapi.tail import Tail
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
