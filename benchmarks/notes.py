"""Appends of one small event to new streams: our side of several rows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import perf_counter

from diptych import Event, new_id, open_store

IN_FLIGHT = 64


class Noted(Event):
    """A small fact."""

    text: str
    number: int


@asynccontextmanager
async def appending(url: str, in_flight: int = IN_FLIGHT) -> AsyncIterator[Callable[[int], Awaitable[float]]]:
    """Appends so many notes, so many at a time; the rate a second."""
    async with open_store(url, events=[Noted]) as event_store:

        async def some(share: int) -> None:
            for number in range(share):
                await event_store.append_events(
                    stream_id=f"Note-{new_id()}", stream_type="Note", events=[Noted(text="hello", number=number)]
                )

        async def appender(count: int) -> float:
            share = max(1, count // in_flight)
            began = perf_counter()
            await asyncio.gather(*(some(share) for _ in range(in_flight)))
            return share * in_flight / (perf_counter() - began)

        yield appender
