"""One of the processes of `append_many`: reads how many seconds to append, and prints what came of it."""

import asyncio
import sys
from collections.abc import Sequence
from statistics import median
from time import perf_counter
from typing import Any

import msgspec

from benchmarks.append_many import Measured
from benchmarks.notes import Noted
from diptych import EventStore, new_id, open_store
from diptych.store.port import Append
from diptych.store.postgres.appender import Appender, Sent


def hold_the_lock() -> None:
    """Commit each batch synchronously, in the transaction that holds the order lock."""
    send = Appender.send

    async def locked(self: Appender, appends: Sequence[Append], **options: Any) -> Sent:
        return await send(self, appends, **{**options, "synchronous": True})

    Appender.send = locked  # type: ignore[method-assign]


async def main(url: str, in_flight: int) -> None:
    """Measure as often as is asked for."""
    async with open_store(url, events=[Noted]) as event_store:
        await _append(event_store)
        _say(b"ready")
        while asked := await asyncio.to_thread(sys.stdin.readline):
            _say(msgspec.json.encode(await measured(event_store, in_flight, float(asked))))


async def measured(event_store: EventStore, in_flight: int, seconds: float) -> Measured:
    """Append for so long, so many at a time."""
    took: list[float] = []
    began = perf_counter()

    async def some() -> None:
        while perf_counter() - began < seconds:
            took.append(await _append(event_store))

    await asyncio.gather(*(some() for _ in range(in_flight)))
    return Measured(len(took) / (perf_counter() - began), median(took) * 1e3)


async def _append(event_store: EventStore) -> float:
    began = perf_counter()
    await event_store.append_events(
        stream_id=f"Note-{new_id()}", stream_type="Note", events=[Noted(text="hello", number=1)]
    )
    return perf_counter() - began


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[3] == "locked":
        hold_the_lock()
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
