"""What outlives the store that wrote it, and what two stores on one log see of each other."""

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from msgspec.structs import replace

from diptych.errors import WrongVersion
from diptych.store.port import NO_STREAM, LogIdentity
from diptych.testing.conformance.case import DEADLINE_S, StoreCase, a_command, an_append, event, everything, to


class Reopening(StoreCase):
    """One log, opened again."""

    async def test_a_log_keeps_its_identity(self, tmp_path: Path) -> None:
        async with self.open_store(tmp_path) as store:
            identity = store.identity

        async with self.open_store(tmp_path) as store:
            assert store.identity == identity

    async def test_a_log_that_became_another_stays_that_one(self, tmp_path: Path) -> None:
        async with self.open_store(tmp_path) as store:
            await store.append(an_append(to("Order-1")))
            events, became = await everything(store), LogIdentity("another", store.identity.incarnation + 1)
            await store.become(became)
            assert store.identity == became

        async with self.open_store(tmp_path) as store:
            assert store.identity == became
            assert await everything(store) == events

    async def test_events_and_commands_are_there_again(self, tmp_path: Path) -> None:
        async with self.open_store(tmp_path) as store:
            outcome = await store.append(an_append(to("Order-1", event(), event()), command=a_command()))
            events = await everything(store)

        async with self.open_store(tmp_path) as store:
            assert await everything(store) == events
            assert await store.command("command-1") == replace(outcome, repeated=True)

    async def test_versions_and_positions_go_on(self, tmp_path: Path) -> None:
        async with self.open_store(tmp_path) as store:
            before = await store.append(an_append(to("Order-1")))

        async with self.open_store(tmp_path) as store:
            after = await store.append(an_append(to("Order-1")))

        assert after.ends[0].version == 2
        assert after.position > before.position

    async def test_what_was_taken_over_before_closing_is_there(self, tmp_path: Path) -> None:
        async with self.open_store(tmp_path) as store:
            callers = [asyncio.create_task(store.append(an_append(to(f"Order-{number}")))) for number in range(20)]
            await asyncio.sleep(0)
        await asyncio.gather(*callers)

        async with self.open_store(tmp_path) as store:
            assert len(await everything(store)) == 20


class Sharing(StoreCase):
    """One log, open twice."""

    async def test_both_are_the_same_log(self, tmp_path: Path) -> None:
        async with self.open_store(tmp_path) as one, self.open_store(tmp_path) as other:
            assert one.identity == other.identity

    async def test_many_that_begin_a_log_at_once_begin_the_same(self, tmp_path: Path) -> None:
        async with AsyncExitStack() as stack:
            stores = await asyncio.gather(*[stack.enter_async_context(self.open_store(tmp_path)) for _ in range(8)])

            assert len({store.identity for store in stores}) == 1

    async def test_each_sees_what_the_other_answered(self, tmp_path: Path) -> None:
        async with self.open_store(tmp_path) as one, self.open_store(tmp_path) as other:
            await one.append(an_append(to("Order-1", expected=NO_STREAM)))

            with pytest.raises(WrongVersion):
                await other.append(an_append(to("Order-1", expected=NO_STREAM)))
            await other.append(an_append(to("Order-1", expected=1)))

            assert await everything(one) == await everything(other)
            assert await one.head() == await other.head()

    async def test_each_knows_the_others_appends_by_their_ids(self, tmp_path: Path) -> None:
        append = an_append(to("Order-1"), command=a_command())

        async with self.open_store(tmp_path) as one, self.open_store(tmp_path) as other:
            first, second = await asyncio.gather(one.append(append), other.append(append))

            assert first.ends == second.ends
            assert {first.repeated, second.repeated} == {True, False}

    async def test_an_append_to_one_wakes_who_waits_at_the_other(self, tmp_path: Path) -> None:
        async with self.open_store(tmp_path) as one, self.open_store(tmp_path) as other:
            for number in range(3):
                head = await other.head()
                wait = asyncio.create_task(other.wait_beyond(head, 60))
                await asyncio.sleep(0)

                await one.append(an_append(to(f"Order-{number}")))

                await asyncio.wait_for(wait, DEADLINE_S)
                assert await other.head() > head

    async def test_writers_on_both_agree_on_one_order(self, tmp_path: Path) -> None:
        async with self.open_store(tmp_path) as one, self.open_store(tmp_path) as other:
            appends = [an_append(to(f"Order-{number % 5}", event(), event())) for number in range(100)]

            await asyncio.gather(*[(one, other)[number % 2].append(append) for number, append in enumerate(appends)])

            events = await everything(one)
            assert events == await everything(other)
            assert len(events) == 200
            for stream in {event.stream for event in events}:
                assert [e.version for e in events if e.stream == stream] == list(range(1, 41))
