"""
Writers and a reader of a log in PostgreSQL: `python -m tests.faults.postgres.writers append|tail URL NAME`.

`append` writes mixed batches of 1 to 50 events, some of them meant to be refused, from three
tasks; each answer is printed: name, number, events (or refused), position. `tail` reads all that comes, and
prints each event: position, id. Both go on until they are killed, whatever happens to the server.
"""

import asyncio
import itertools
import sys
from random import Random

from tests.faults.tallies import Tallied

from diptych import ANY, EventStore, ToStream, Unavailable, WrongVersion, open_store
from diptych.message import new_id

TASKS = 3
NEVER = 1_000_000_000


async def append(url: str, name: str) -> None:
    """Append for ever."""
    async with open_store(url, [Tallied]) as event_store, asyncio.TaskGroup() as group:
        for task in range(TASKS):
            group.create_task(_append(event_store, f"{name}-{task}"))


async def tail(url: str) -> None:
    """Follow the log from its beginning, page by page."""
    async with open_store(url, [Tallied]) as event_store:
        position = 0
        while True:
            try:
                page = await event_store.store.read(position, limit=1_000)
                for event in page.events:
                    print(event.position, event.id, flush=True)  # noqa: T201  # what was seen
                position = page.through
                await event_store.wait_beyond(position, 1.0)
            except Unavailable:
                await asyncio.sleep(0.02)


async def _append(event_store: EventStore, name: str) -> None:
    random = Random(name)  # repeatable
    version = 0
    for number in itertools.count(1):
        size = random.choice((1, 1, 2, 5, 50))
        events = [Tallied(name=name, number=number) for _ in range(size)]
        own = ToStream(stream_id=f"Own-{name}", stream_type="Own", events=events, expected_version=version)
        shared = ToStream(
            stream_id="Shared",
            stream_type="Shared",
            events=[Tallied(name=name, number=number)],
            expected_version=NEVER if random.random() < 0.1 else ANY,
        )
        append_id = new_id()
        while True:
            try:
                appended = await event_store.append([own, shared], append_id=append_id)
            except WrongVersion:
                print(name, number, "refused", flush=True)  # noqa: T201  # the answer
                break
            except Unavailable:
                await asyncio.sleep(0.02)
                continue
            version += size
            print(name, number, size, appended.position, flush=True)  # noqa: T201  # the answer
            break


if __name__ == "__main__":
    what, url, *names = sys.argv[1:]
    asyncio.run(append(url, names[0]) if what == "append" else tail(url))
