import asyncio
from datetime import datetime, timedelta
from typing import Any

import pytest

from diptych.errors import Misuse, NewerSchema, NotFound, Unreadable, WrongCategory, WrongVersion
from diptych.log import EventStore
from diptych.store.port import Append, NewEvent, StreamAppend
from diptych.write.aggregate import Aggregate
from diptych.write.repository import Repository

from .counter import Begun, Counted, Counter, Elsewhen


class Elsewhere(Aggregate[Begun]):
    category = "Counter-x"


@pytest.fixture
def counters(event_store: EventStore) -> Repository[Counter]:
    return Repository(event_store, Counter)


async def test_what_was_saved_is_loaded(counters: Repository[Counter], event_store: EventStore) -> None:
    counter = Counter("c")
    counter.begin(10)
    counter.count(3)
    await counters.save(counter)

    loaded = await counters.load("c")

    assert (loaded.id, loaded.total, loaded.limit, loaded.version, loaded.uncommitted_events) == ("c", 3, 10, 2, ())
    assert counter.uncommitted_events == ()
    recorded = await event_store.read_stream("Counter-c")
    assert [(event.stream_type, event.data) for event in recorded] == [
        ("Counter", Begun(limit=10)),
        ("Counter", Counted(by=3)),
    ]


async def test_an_aggregate_is_saved_again_and_again(counters: Repository[Counter]) -> None:
    counter = Counter("c")
    counter.begin(10)
    await counters.save(counter)
    counter.count(1)
    await counters.save(counter)
    await counters.save(counter)

    assert (await counters.load("c")).version == counter.version == 2


async def test_what_is_not_there_is_not_found(counters: Repository[Counter]) -> None:
    with pytest.raises(NotFound, match="Counter 'c' does not exist"):
        await counters.load("c")


async def test_of_two_writers_the_second_is_refused_and_keeps_its_events(counters: Repository[Counter]) -> None:
    first = Counter("c")
    first.begin(10)
    await counters.save(first)
    late = await counters.load("c")
    first.count(1)
    late.count(2)
    await counters.save(first)

    with pytest.raises(WrongVersion) as caught:
        await counters.save(late)

    assert (caught.value.expected, caught.value.actual) == (1, 2)
    assert late.uncommitted_events == (Counted(by=2),)


async def test_of_two_creators_one_wins(counters: Repository[Counter]) -> None:
    rivals = [Counter("c") for _ in range(5)]
    for rival in rivals:
        rival.begin(10)

    outcomes = await asyncio.gather(*map(counters.save, rivals), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes].count(WrongVersion) == 4


async def test_an_event_recorded_while_saving_is_not_lost(counters: Repository[Counter]) -> None:
    counter = Counter("c")
    counter.begin(10)
    saving = asyncio.create_task(counters.save(counter))
    await asyncio.sleep(0)
    counter.count(1)
    await saving

    assert counter.uncommitted_events == (Counted(by=1),)


async def test_an_aggregate_is_loaded_as_it_was_at_a_position_or_a_time(
    counters: Repository[Counter], event_store: EventStore
) -> None:
    counter = Counter("c")
    counter.begin(10)
    await counters.save(counter)
    await event_store.append_events(stream_id="Elsewhere-1", stream_type="Elsewhere", events=[Elsewhen(at="noon")])
    counter.count(3)
    await counters.save(counter)
    begun, counted = await event_store.read_stream("Counter-c")

    for at, total in ((begun.global_position, 0), (counted.global_position - 1, 0), (counted.global_position, 3)):
        assert (await counters.load("c", at=at)).total == total
    assert (await counters.load("c", at=counted.recorded_at)).version == 2
    assert (await counters.load("c", at=10**12)).version == 2
    with pytest.raises(NotFound):
        await counters.load("c", at=begun.recorded_at - timedelta(microseconds=1))


async def test_what_was_loaded_as_it_was_is_never_saved_over_what_came_after(
    counters: Repository[Counter], event_store: EventStore
) -> None:
    counter = Counter("c")
    counter.begin(10)
    await counters.save(counter)
    counter.count(3)
    await counters.save(counter)
    begun, _ = await event_store.read_stream("Counter-c")

    past = await counters.load("c", at=begun.global_position)
    past.count(1)
    with pytest.raises(WrongVersion):
        await counters.save(past)


@pytest.mark.parametrize("at", [-1, True, "1", datetime(2026, 1, 1)])  # noqa: DTZ001
async def test_what_is_no_place_in_a_log_is_refused(counters: Repository[Counter], at: Any) -> None:
    with pytest.raises(Misuse):
        await counters.load("c", at=at)


async def test_a_version_that_the_caller_has_seen_is_insisted_on(counters: Repository[Counter]) -> None:
    counter = Counter("c")
    counter.begin(10)
    await counters.save(counter)

    assert (await counters.load("c", expected_version=1)).version == 1
    with pytest.raises(WrongVersion) as caught:
        await counters.load("c", expected_version=2)
    assert (caught.value.expected, caught.value.actual) == (2, 1)


async def test_an_event_that_no_class_is_named_like_stops_a_decision_and_names_the_cure(
    counters: Repository[Counter], event_store: EventStore
) -> None:
    counter = Counter("c")
    counter.begin(10)
    await counters.save(counter)
    await append_raw(event_store, "Forgotten", version=1)

    with pytest.raises(Unreadable, match=r"Counter is loaded from it.*was=\('Forgotten',\)"):
        await counters.load("c")


async def test_an_event_that_is_not_its_own_counts_and_changes_nothing(
    counters: Repository[Counter], event_store: EventStore
) -> None:
    counter = Counter("c")
    counter.begin(10)
    await counters.save(counter)
    await event_store.append_events(stream_id="Counter-c", stream_type="Counter", events=[Elsewhen(at="noon")])

    loaded = await counters.load("c")
    loaded.count(1)
    await counters.save(loaded)

    assert (await counters.load("c")).version == 3


async def test_an_event_of_a_newer_schema_stops_a_decision(
    counters: Repository[Counter], event_store: EventStore
) -> None:
    await append_raw(event_store, "Counted", version=2)

    with pytest.raises(NewerSchema):
        await counters.load("c")


async def test_a_stream_of_another_category_is_refused(event_store: EventStore) -> None:
    x = Elsewhere("1")
    x.record(Begun(limit=1))
    await Repository(event_store, Elsewhere).save(x)

    with pytest.raises(WrongCategory):
        await Repository(event_store, Counter).load("x-1")


async def append_raw(event_store: EventStore, type: str, *, version: int) -> None:
    event = NewEvent(f"raw-{type}", type, version, b"{}", b"{}")
    append = StreamAppend("Counter-c", "Counter", len(await event_store.read_stream("Counter-c")), [event])
    await event_store.store.append(Append(event.id, [append]))
