"""Many callers at once, those who wait, those who leave, and the end of the store."""

import asyncio
import random
import time
from collections.abc import Awaitable
from typing import TypeVar

import pytest

from diptych.errors import Unavailable, WrongVersion
from diptych.store.port import Outcome, Store, StoredEvent
from diptych.testing.conformance.case import (
    DEADLINE_S,
    StoreCase,
    a_command,
    an_append,
    event,
    everything,
    to,
    until,
)

T = TypeVar("T")


class Waiting(StoreCase):
    """Readers who wait for the log to grow."""

    async def test_nobody_waits_for_what_is_there(self, store: Store) -> None:
        outcome = await store.append(an_append(to("Order-1")))

        await in_good_time(store.wait_beyond(outcome.position - 1, 60))

    async def test_a_wait_ends_when_its_time_is_up(self, store: Store) -> None:
        before = time.monotonic()

        await store.wait_beyond(0, 0.05)

        assert 0.04 < time.monotonic() - before < DEADLINE_S

    async def test_a_wait_of_no_time_ends_at_once(self, store: Store) -> None:
        await in_good_time(store.wait_beyond(0, 0))

    async def test_an_append_wakes_everybody_who_waits(self, store: Store) -> None:
        waits = [asyncio.create_task(store.wait_beyond(0, 60)) for _ in range(200)]
        await asyncio.sleep(0)

        await store.append(an_append(to("Order-1")))

        await in_good_time(asyncio.gather(*waits))

    async def test_a_cancelled_wait_harms_nobody(self, store: Store) -> None:
        leaving, staying = (asyncio.create_task(store.wait_beyond(0, 60)) for _ in range(2))
        await asyncio.sleep(0)
        leaving.cancel()

        await store.append(an_append(to("Order-1")))

        await in_good_time(staying)
        assert leaving.cancelled()


class Together(StoreCase):
    """Many callers at once."""

    async def test_of_many_who_expect_the_same_version_one_wins(self, store: Store) -> None:
        await store.append(an_append(to("Order-1")))

        results = await asyncio.gather(
            *[store.append(an_append(to("Order-1", expected=1))) for _ in range(20)], return_exceptions=True
        )

        winners = [result for result in results if isinstance(result, Outcome)]
        losers = [result for result in results if isinstance(result, WrongVersion)]
        assert (len(winners), len(losers)) == (1, 19)
        assert {loser.actual for loser in losers} == {2}
        assert len(await everything(store)) == 2

    async def test_appends_to_one_stream_keep_the_order_they_were_sent_in(self, store: Store) -> None:
        appends = [an_append(to("Order-1", event(id=f"{number}"))) for number in range(50)]

        await asyncio.gather(*[store.append(append) for append in appends])

        assert [event.id for event in await everything(store)] == [append.id for append in appends]

    async def test_each_append_gets_its_own_answer(self, store: Store) -> None:
        appends = [an_append(to(f"Order-{number}", event())) for number in range(100)]

        outcomes = await asyncio.gather(*[store.append(append) for append in appends])

        places = {event.id: (event.stream, event.position) for event in await everything(store)}
        assert [(o.ends[0].stream, o.position) for o in outcomes] == [places[append.id] for append in appends]

    async def test_refused_appends_do_not_touch_those_around_them(self, store: Store) -> None:
        await store.append(an_append(to("Order-0")))
        appends = [an_append(to(f"Order-{number % 2 * number}", expected=0)) for number in range(40)]

        results = await asyncio.gather(*[store.append(append) for append in appends], return_exceptions=True)

        assert [isinstance(result, WrongVersion) for result in results] == [number % 2 == 0 for number in range(40)]
        assert len(await everything(store)) == 21

    async def test_no_reader_skips_or_sees_twice_while_many_write_batches_of_all_sizes(self, store: Store) -> None:
        writing = asyncio.gather(*[write_batches(store, writer) for writer in range(8)])
        seen: list[StoredEvent] = []
        after = 0

        while not writing.done() or after < await store.head():
            page = await store.read(after, limit=7)
            seen += page.events
            after = page.through
            await store.wait_beyond(after, 0.005)
        await writing

        assert seen == list(await everything(store))
        positions = [event.position for event in seen]
        assert positions == sorted(set(positions))
        assert len(seen) == 8 * sum(range(1, 11))

    async def test_the_order_of_each_stream_agrees_with_that_of_the_log(self, store: Store) -> None:
        await asyncio.gather(*[write_batches(store, writer) for writer in range(4)])

        versions: dict[str, list[int]] = {}
        for stored in await everything(store):
            versions.setdefault(stored.stream, []).append(stored.version)
        assert versions == {stream: list(range(1, len(found) + 1)) for stream, found in versions.items()}


class Leaving(StoreCase):
    """Callers who are cancelled, and the store that is closed."""

    async def test_an_append_goes_on_when_its_caller_is_cancelled(self, store: Store) -> None:
        append = an_append(to("Order-1", event(), event()), command=a_command())
        caller = asyncio.create_task(store.append(append))
        await asyncio.sleep(0)

        caller.cancel()

        await until(lambda: is_known(store, append.id))
        assert caller.cancelled()
        assert (await store.append(append)).repeated
        assert len(await everything(store)) == 2

    async def test_cancelled_and_sent_again_every_append_is_there_once(self, store: Store) -> None:
        appends = [an_append(to(f"Order-{number}", event(), event())) for number in range(60)]
        callers = [asyncio.create_task(store.append(append)) for append in appends]
        for caller in callers[::2]:
            await asyncio.sleep(0)
            caller.cancel()

        await asyncio.gather(*[store.append(append) for append in appends])

        assert len(await everything(store)) == 120

    async def test_closing_finishes_what_was_taken_over(self, store: Store) -> None:
        callers = [asyncio.create_task(store.append(an_append(to(f"Order-{number}")))) for number in range(20)]
        await asyncio.sleep(0)

        await store.close()

        outcomes = await asyncio.gather(*callers)
        assert len({outcome.position for outcome in outcomes}) == 20

    async def test_a_closed_store_says_so(self, store: Store) -> None:
        await store.close()

        with pytest.raises(Unavailable, match="closed"):
            await store.append(an_append(to("Order-1")))
        with pytest.raises(Unavailable, match="closed"):
            await store.read(0, limit=1)

    async def test_closing_twice_is_closing_once(self, store: Store) -> None:
        await asyncio.gather(store.close(), store.close())
        await store.close()

    async def test_closing_wakes_those_who_wait(self, store: Store) -> None:
        wait = asyncio.create_task(store.wait_beyond(0, 60))
        await asyncio.sleep(0)

        await store.close()

        await in_good_time(wait)


async def in_good_time(work: Awaitable[T]) -> T:
    """What *work* gives, long before the time-outs of the cases."""
    return await asyncio.wait_for(work, DEADLINE_S)


async def write_batches(store: Store, writer: int) -> None:
    """Ten appends of one to ten events to streams shared with other writers, in an order of the writer's own."""
    sizes = random.Random(writer).sample(range(1, 11), 10)
    for size in sizes:
        await store.append(an_append(to(f"Order-{size % 3}", *[event() for _ in range(size)])))


async def is_known(store: Store, id: str) -> bool:
    """Whether a command has an outcome."""
    return await store.command(id) is not None
