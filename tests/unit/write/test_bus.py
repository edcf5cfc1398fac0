import asyncio
from typing import Any

import pytest

from diptych.context import acting, current_metadata
from diptych.errors import Misuse, NoHandler, NotFound, TwoLogs, WrongVersion
from diptych.event import Metadata
from diptych.log import EventStore, ToStream, open_store
from diptych.store.port import NO_STREAM
from diptych.write.bus import CommandBus
from diptych.write.command import Command
from diptych.write.repository import Repository

from .counter import EVENTS, Begin, Begun, Count, Counted, Counter, LimitReached, Look, bound, commands


class Do(Command[str]):
    """Whatever the test says."""


class Plain(Command):
    pass


def doing(event_store: EventStore | None, act: Any) -> CommandBus:
    """A bus whose `Do` is *act*; unbound without a log."""
    bus = CommandBus()

    async def do(command: Do) -> str:
        result = await act()
        return "done" if result is None else result

    bus.register(Do, do)
    return bus if event_store is None else bound(event_store, bus)


# Receipts


async def test_a_receipt_says_what_was_appended_and_where(event_store: EventStore) -> None:
    bus = bound(event_store)

    begun = await bus.execute(Begin(counter="c"))
    counted = await bus.execute(Count(counter="c", by=4))

    assert (begun.result, begun.stream, begun.version) == ("c", "Counter-c", 1)
    assert (counted.result, counted.stream, counted.version) == (4, "Counter-c", 2)
    assert counted.position == await event_store.head() > begun.position
    assert counted.identity == event_store.identity
    assert await bus.dispatch(Count(counter="c", by=4)) == 8


async def test_a_receipt_without_events_has_the_version_loaded_and_the_head_seen(event_store: EventStore) -> None:
    bus = bound(event_store)
    await bus.dispatch(Begin(counter="c"))
    await bus.dispatch(Begin(counter="other"))

    receipt = await bus.execute(Look(counter="c"))

    assert (receipt.result, receipt.stream, receipt.version) == (0, "Counter-c", 1)
    assert receipt.position == await event_store.head()


async def test_a_handler_that_touches_nothing_has_a_receipt_too(event_store: EventStore) -> None:
    async def act() -> None:
        pass

    receipt = await doing(event_store, act).execute(Do())

    assert (receipt.result, receipt.stream, receipt.version, receipt.position) == ("done", "", 0, 0)


async def test_an_unopened_bus_dispatches_without_a_log() -> None:
    async def act() -> str:
        return "by itself"

    receipt = await doing(None, act).execute(Do())

    assert (receipt.result, receipt.token) == ("by itself", "")


async def test_an_unopened_bus_commits_to_the_log_that_its_handler_uses(event_store: EventStore) -> None:
    counters = Repository(event_store, Counter)

    async def act() -> None:
        counter = Counter("c")
        counter.begin(3)
        await counters.save(counter)

    receipt = await doing(None, act).execute(Do())

    assert (receipt.stream, receipt.version, receipt.identity) == ("Counter-c", 1, event_store.identity)


async def test_an_exception_of_the_handler_reaches_the_caller_unchanged(event_store: EventStore) -> None:
    error = KeyError("mine")

    async def act() -> None:
        raise error

    for log in (event_store, None):
        with pytest.raises(KeyError) as caught:
            await doing(log, act).dispatch(Do(command_id="d"))
        assert caught.value is error


async def test_an_unknown_command_is_named() -> None:
    with pytest.raises(NoHandler, match="Plain"):
        await commands.dispatch(Plain())


# One unit of work


async def test_nothing_is_stored_before_the_handler_returns_and_all_of_it_then(event_store: EventStore) -> None:
    counters = Repository(event_store, Counter)

    async def act() -> None:
        for id in ("a", "b"):
            counter = Counter(id)
            counter.begin(5)
            await counters.save(counter)
        assert await event_store.read_all() == []

    receipt = await doing(event_store, act).execute(Do())

    assert [event.stream_id for event in await event_store.read_all()] == ["Counter-a", "Counter-b"]
    assert receipt.position == await event_store.head()


async def test_a_refusal_after_a_save_stores_nothing(event_store: EventStore) -> None:
    counters = Repository(event_store, Counter)

    async def act() -> None:
        counter = Counter("c")
        counter.begin(1)
        await counters.save(counter)
        counter.count(2)

    with pytest.raises(LimitReached):
        await doing(event_store, act).dispatch(Do())
    assert await event_store.read_all() == []


async def test_a_second_load_gives_the_same_object_and_a_second_save_goes_on(event_store: EventStore) -> None:
    counters = Repository(event_store, Counter)
    await bound(event_store).dispatch(Begin(counter="c"))

    async def act() -> None:
        first, second = await asyncio.gather(counters.load("c"), counters.load("c"))
        assert first is second
        first.count(1)
        await counters.save(first)
        assert await counters.load("c") is first
        first.count(2)
        await counters.save(second)

    receipt = await doing(event_store, act).execute(Do())

    assert receipt.version == 3
    assert [event.data for event in await event_store.read_stream("Counter-c", 1)] == [Counted(by=1), Counted(by=2)]


async def test_a_new_aggregate_is_found_after_it_was_saved(event_store: EventStore) -> None:
    counters = Repository(event_store, Counter)

    async def act() -> None:
        counter = Counter("c")
        counter.begin(1)
        with pytest.raises(NotFound):
            await counters.load("c")
        await counters.save(counter)
        assert await counters.load("c") is counter

    await doing(event_store, act).dispatch(Do())


async def test_what_is_recorded_after_the_last_save_is_not_stored(event_store: EventStore) -> None:
    counters = Repository(event_store, Counter)

    async def act() -> None:
        counter = Counter("c")
        counter.begin(1)
        await counters.save(counter)
        counter.count(1)

    assert (await doing(event_store, act).execute(Do())).version == 1


async def test_two_objects_for_one_stream_are_refused(event_store: EventStore) -> None:
    counters = Repository(event_store, Counter)

    async def act() -> None:
        for _ in range(2):
            counter = Counter("c")
            counter.begin(1)
            await counters.save(counter)

    with pytest.raises(WrongVersion):
        await doing(event_store, act).dispatch(Do())
    assert await event_store.read_all() == []


async def test_two_logs_in_one_command_are_refused(event_store: EventStore) -> None:
    async with open_store("memory://", EVENTS) as other:

        async def act() -> None:
            for log in (event_store, other):
                counter = Counter("c")
                counter.begin(1)
                await Repository(log, Counter).save(counter)

        for bus in (doing(None, act), doing(event_store, act)):
            with pytest.raises(TwoLogs):
                await bus.dispatch(Do())
        assert await event_store.read_all() == await other.read_all() == []


async def test_a_command_inside_a_command_is_refused(event_store: EventStore) -> None:
    bus = bound(event_store)

    async def act() -> None:
        await bus.dispatch(Begin(counter="c"))

    with pytest.raises(Misuse, match="Begin was dispatched inside a command handler"):
        await doing(event_store, act).dispatch(Do())


async def test_a_task_that_outlives_its_handler_works_for_itself(event_store: EventStore) -> None:
    go_on = asyncio.Event()
    left: list[asyncio.Task[Any]] = []
    counters = Repository(event_store, Counter)

    async def later() -> None:
        await go_on.wait()
        counter = Counter("c")
        counter.begin(1)
        await counters.save(counter)
        await event_store.append_events(stream_id="x", stream_type="X", events=[Begun(limit=1)])
        await bound(event_store).dispatch(Begin(counter="d"))

    async def act() -> None:
        left.append(asyncio.create_task(later()))

    await doing(event_store, act).dispatch(Do())
    go_on.set()
    await left[0]

    assert [event.stream_id for event in await event_store.read_all()] == ["Counter-c", "x", "Counter-d"]


# What goes with the events


async def test_events_know_the_command_who_sent_it_and_in_the_course_of_what(event_store: EventStore) -> None:
    bus = bound(event_store)

    await bus.dispatch(Begin(counter="c", command_id="one"))
    with acting(actor="ann", correlation_id="talk", causation_id="before", tenant="north"):
        await bus.dispatch(Count(counter="c", command_id="two"))

    assert [event.metadata for event in await event_store.read_all()] == [
        Metadata(correlation_id="one", causation_id="one", command_id="one"),
        Metadata("talk", "two", "two", "ann", extra={"tenant": "north"}),
    ]
    assert current_metadata() == Metadata()


async def test_what_a_handler_adds_goes_with_its_events(event_store: EventStore) -> None:
    counters = Repository(event_store, Counter)

    async def act() -> None:
        counter = Counter("c")
        counter.begin(1)
        with acting(actor="robot"):
            await counters.save(counter)
            await event_store.append_events(stream_id="x", stream_type="X", events=[Begun(limit=1)])

    await doing(event_store, act).dispatch(Do(command_id="d"))

    found = {(event.metadata.actor, event.metadata.command_id) for event in await event_store.read_all()}
    assert found == {("robot", "d")}


# Conflicts


async def test_commands_that_meet_on_one_stream_are_all_accepted(event_store: EventStore) -> None:
    bus = bound(event_store)
    await bus.dispatch(Begin(counter="c"))

    totals = await asyncio.gather(*(bus.dispatch(Count(counter="c")) for _ in range(40)))

    assert sorted(totals) == list(range(1, 41))


async def test_after_a_conflict_the_whole_handler_runs_again_in_a_new_unit(event_store: EventStore) -> None:
    counters, seen = Repository(event_store, Counter), list[Counter]()
    await bound(event_store).dispatch(Begin(counter="c"))

    async def act() -> None:
        counter = await counters.load("c")
        seen.append(counter)
        if len(seen) == 1:
            await count_elsewhere(event_store, 5)
        counter.count(1)
        await counters.save(counter)

    receipt = await doing(event_store, act).execute(Do())

    assert [counter.total for counter in seen] == [1, 6]
    assert seen[0] is not seen[1]
    assert receipt.version == 3


async def test_a_race_to_create_is_a_conflict_that_the_handler_sees_next_time(event_store: EventStore) -> None:
    bus = bound(event_store)

    outcomes = await asyncio.gather(*(bus.dispatch(Begin(counter="c")) for _ in range(5)), return_exceptions=True)

    assert sorted(map(str, outcomes)) == ["c"] * 5
    assert outcomes.count("c") == 1
    assert len(await event_store.read_all()) == 1


async def test_a_creator_that_never_looks_gives_up(event_store: EventStore) -> None:
    counters, runs = Repository(event_store, Counter), list[int]()
    await bound(event_store).dispatch(Begin(counter="c"))

    async def act() -> None:
        runs.append(1)
        counter = Counter("c")
        counter.begin(1)
        await counters.save(counter)

    with pytest.raises(WrongVersion) as caught:
        await doing(event_store, act).dispatch(Do())
    assert (caught.value.expected, caught.value.actual) == (NO_STREAM.value, 1)
    assert len(runs) == 2


async def test_a_writer_that_always_comes_second_gives_up_in_the_end(event_store: EventStore) -> None:
    counters, runs = Repository(event_store, Counter), list[int]()
    await bound(event_store).dispatch(Begin(counter="c"))

    async def act() -> None:
        runs.append(1)
        counter = await counters.load("c")
        await count_elsewhere(event_store, 1)
        counter.count(1)
        await counters.save(counter)

    with pytest.raises(WrongVersion):
        await doing(event_store, act).dispatch(Do())
    assert len(runs) == 8


async def test_a_version_that_the_caller_named_is_not_tried_again(event_store: EventStore) -> None:
    counters, runs = Repository(event_store, Counter), list[int]()
    await bound(event_store).dispatch(Begin(counter="c"))

    async def act() -> None:
        runs.append(1)
        counter = await counters.load("c", expected_version=1)
        await count_elsewhere(event_store, 1)
        counter.count(1)
        await counters.save(counter)

    for _ in range(2):  # it loses at the commit, then at the load
        with pytest.raises(WrongVersion) as caught:
            await doing(event_store, act).dispatch(Do())
        assert (caught.value.expected, caught.value.actual) == (1, 2)
    assert len(runs) == 2


async def count_elsewhere(event_store: EventStore, by: int) -> None:
    """What another process does meanwhile: no command of this one knows of it."""
    await event_store.commit([ToStream("Counter-c", "Counter", [Counted(by=by)])], None, Metadata())
