import asyncio
from typing import Any

import pytest

from diptych.errors import InProgress, Misuse, NotFound, PreconditionFailed
from diptych.log import EventStore
from diptych.store.port import NO_STREAM
from diptych.write.bus import CommandBus
from diptych.write.condition import EXISTING, NONE_YET, Condition

from .counter import Begin, Begun, BegunBefore, Count, Counted, LimitReached, Look, bound, commands
from .test_bus import Do, doing


def at(*versions: int) -> Condition:
    return Condition(only=versions)


async def test_a_command_changes_its_stream_only_at_a_version_that_its_sender_allows(event_store: EventStore) -> None:
    bus = bound(event_store)
    await bus.dispatch(Begin(counter="c"))

    assert (await bus.execute(Count(counter="c"), condition=at(1))).version == 2
    with pytest.raises(PreconditionFailed, match=r"'Counter-c' is at version 2, expected another") as failed:
        await bus.execute(Count(counter="c"), condition=at(1, 3))
    assert (failed.value.stream, failed.value.actual) == ("Counter-c", 2)
    with pytest.raises(PreconditionFailed):
        await bus.execute(Count(counter="c"), condition=Condition(never={2}))
    assert (await bus.execute(Count(counter="c"), condition=Condition(only=EXISTING, never={1}))).version == 3
    assert len(await event_store.read_stream("Counter-c")) == 3


async def test_a_command_that_makes_something_holds_only_where_nothing_is(event_store: EventStore) -> None:
    bus, new = bound(event_store), Condition(only=NONE_YET)

    assert (await bus.execute(Begin(counter="c"), condition=new)).version == 1
    with pytest.raises(PreconditionFailed):
        await bus.execute(Begin(counter="c"), condition=new)
    with pytest.raises(PreconditionFailed):
        await bus.execute(Begin(counter="d"), condition=at(1))
    assert await event_store.read_stream("Counter-d") == []


async def test_what_a_stale_view_runs_into_is_told_as_such(event_store: EventStore) -> None:
    bus = bound(event_store)
    await bus.dispatch(Begin(counter="c", limit=0))

    with pytest.raises(PreconditionFailed):
        await bus.execute(Count(counter="c"), condition=at(7))
    with pytest.raises(LimitReached):
        await bus.execute(Count(counter="c"), condition=at(1))
    with pytest.raises(BegunBefore):
        await bus.execute(Begin(counter="c"), condition=at(1))
    with pytest.raises(NotFound):
        await bus.execute(Count(counter="nowhere"), condition=at(1))


async def test_a_command_that_appends_nothing_is_held_to_it_too(event_store: EventStore) -> None:
    bus = bound(event_store)
    await bus.dispatch(Begin(counter="c"))

    assert await bus.dispatch(Look(counter="c")) == 0
    with pytest.raises(PreconditionFailed):
        await bus.execute(Look(counter="c"), condition=at(2))


async def test_of_many_who_have_seen_the_same_version_one_wins(event_store: EventStore) -> None:
    bus = bound(event_store)
    await bus.dispatch(Begin(counter="c"))

    outcomes = await asyncio.gather(
        *(bus.execute(Count(counter="c"), condition=at(1)) for _ in range(20)), return_exceptions=True
    )

    assert sum(not isinstance(each, BaseException) for each in outcomes) == 1
    assert sum(isinstance(each, PreconditionFailed) for each in outcomes) == 19
    assert len(await event_store.read_stream("Counter-c")) == 2


async def test_commands_that_only_insist_that_it_is_there_are_all_accepted(event_store: EventStore) -> None:
    bus, there = bound(event_store), Condition(only=EXISTING)
    await bus.dispatch(Begin(counter="c"))

    await asyncio.gather(*(bus.execute(Count(counter="c"), condition=there) for _ in range(20)))

    assert len(await event_store.read_stream("Counter-c")) == 21


async def test_a_repeat_gets_the_first_answer_whatever_it_insists_on(event_store: EventStore) -> None:
    bus = bound(event_store)
    await bus.dispatch(Begin(counter="c"))
    first = await bus.execute(Count(counter="c", command_id="once"), condition=at(1))

    assert await bus.execute(Count(counter="c", command_id="once"), condition=at(1)) == first


async def test_a_direct_append_is_held_to_it_too(event_store: EventStore) -> None:
    async def append(expected: Any) -> None:
        await event_store.append_events(
            stream_id="c", stream_type="Counter", events=[Begun(limit=1)], expected_version=expected
        )

    new = Condition(only=NONE_YET)
    await doing(event_store, lambda: append(NO_STREAM)).execute(Do(), condition=new)
    with pytest.raises(PreconditionFailed):
        await doing(event_store, lambda: append(1)).execute(Do(), condition=new)
    with pytest.raises(Misuse, match="appends to 'c' at whatever version"):
        await doing(
            event_store, lambda: event_store.append_events(stream_id="c", stream_type="Counter", events=[Counted(by=1)])
        ).execute(Do(), condition=new)
    assert len(await event_store.read_stream("c")) == 1


async def test_a_repeat_waits_for_the_first_as_long_as_it_says(event_store: EventStore) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def act() -> str:
        begun.set()
        await go_on.wait()
        return "at last"

    bus = doing(event_store, act)
    first = asyncio.create_task(bus.execute(Do(command_id="once")))
    await begun.wait()

    with pytest.raises(InProgress, match="'once' is being handled"):
        await bus.execute(Do(command_id="once"), patience_s=0.01)
    patient = asyncio.create_task(bus.execute(Do(command_id="once"), patience_s=60))
    go_on.set()

    assert (await first).result == (await patient).result == "at last"


async def test_middleware_changes_nothing_about_it(event_store: EventStore) -> None:
    async def through(message: Any, call_next: Any) -> Any:
        return await call_next(message)

    bus = bound(event_store, CommandBus.joined([commands]))
    bus.middleware.append(through)
    await bus.dispatch(Begin(counter="c"))

    with pytest.raises(PreconditionFailed):
        await bus.execute(Count(counter="c"), condition=at(2))
