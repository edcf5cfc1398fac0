import asyncio
from contextvars import copy_context
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from diptych.errors import BadHandler, BadMessage, CommandIdReused, NotStorable
from diptych.event import Metadata
from diptych.log import EventStore
from diptych.message import now
from diptych.store.port import CommandRecord
from diptych.write.bus import CommandBus
from diptych.write.command import Command
from diptych.write.idempotency import digest_of
from diptych.write.repository import Repository

from .counter import Begin, Begun, BegunBefore, Count, Counted, Counter, LimitReached, Look, bound

OUTSIDE = copy_context()  # of every command, like another process


@dataclass(frozen=True)
class Bill:
    total: Decimal
    lines: tuple[str, ...]


class Charge(Command[Bill]):
    customer: str = "ann"


class Log(Command[int]):
    name: str


class Answer(Command):
    pass


class Opaque:
    pass


# Repeats


async def test_a_repeat_gets_the_first_answer_and_changes_nothing(event_store: EventStore) -> None:
    bus = bound(event_store)
    await bus.dispatch(Begin(counter="c"))
    first = await bus.execute(Count(counter="c", by=2, command_id="k"))
    await bus.execute(Count(counter="c", by=5))

    again = await bus.execute(Count(counter="c", by=2, command_id="k"))

    assert again == first
    assert again.result == 2
    assert len(await event_store.read_all()) == 3


async def test_the_same_object_sent_again_is_a_repeat(event_store: EventStore) -> None:
    bus = bound(event_store)
    command = Begin(counter="c")

    assert await bus.execute(command) == await bus.execute(command)
    assert len(await event_store.read_all()) == 1


async def test_a_repeat_of_what_could_not_be_done_again_is_answered_all_the_same(event_store: EventStore) -> None:
    counters = Repository(event_store, Counter)
    unopened = CommandBus()

    @unopened.handler
    async def begin(command: Begin) -> str:
        found = await event_store.read_stream(f"Counter-{command.counter}")
        if found:
            await counters.load(command.counter)
            raise BegunBefore(command.counter)
        counter = Counter(command.counter)
        counter.begin(1)
        await counters.save(counter)
        return counter.id

    for bus in (unopened, bound(event_store)):
        for _ in range(2):
            assert await bus.dispatch(Begin(counter="c", command_id="k")) == "c"
        with pytest.raises(BegunBefore):
            await bus.dispatch(Begin(counter="c"))


async def test_another_body_under_the_same_id_is_refused(event_store: EventStore) -> None:
    bus = bound(event_store)
    await bus.dispatch(Begin(counter="c", command_id="k"))

    others: list[Command[Any]] = [Begin(counter="d", command_id="k"), Count(counter="c", command_id="k")]
    for other in others:
        with pytest.raises(CommandIdReused):
            await bus.dispatch(other)
    assert len(await event_store.read_all()) == 1


async def test_a_digest_of_the_caller_s_own_tells_bodies_apart(event_store: EventStore) -> None:
    bus = bound(event_store)
    command = {"counter": "c", "command_id": "k"}
    await bus.execute(Begin(**command), digest=b"1")  # type: ignore[arg-type]

    await bus.execute(Begin(**command), digest=b"1")  # type: ignore[arg-type]
    with pytest.raises(CommandIdReused):
        await bus.execute(Begin(**command), digest=b"2")  # type: ignore[arg-type]


async def test_a_refusal_stores_nothing_and_the_id_may_be_used_again(event_store: EventStore) -> None:
    bus = bound(event_store)
    await bus.dispatch(Begin(counter="c", limit=1))
    with pytest.raises(LimitReached):
        await bus.dispatch(Count(counter="c", by=2, command_id="k"))

    assert await event_store.command("k") is None
    assert await bus.dispatch(Count(counter="c", by=1, command_id="k")) == 1


async def test_a_command_that_appends_nothing_keeps_its_answer(event_store: EventStore) -> None:
    bus = bound(event_store)
    await bus.dispatch(Begin(counter="c"))
    first = await bus.execute(Look(counter="c", command_id="k"))
    await bus.dispatch(Count(counter="c"))

    again = await bus.execute(Look(counter="c", command_id="k"))

    assert again == first
    assert (again.result, again.stream, again.version) == (0, "Counter-c", 1)


# Repeats in flight


async def test_a_repeat_in_flight_waits_for_the_first(event_store: EventStore) -> None:
    runs, bus = list[int](), CommandBus()

    @bus.handler
    async def log(command: Log) -> int:
        runs.append(1)
        await asyncio.sleep(0)
        return len(runs)

    opened = bound(event_store, bus)
    answers = await asyncio.gather(*(opened.dispatch(Log(name="x", command_id="k")) for _ in range(10)))

    assert (answers, len(runs)) == ([1] * 10, 1)


async def test_when_the_first_is_refused_the_repeat_is_tried_itself(event_store: EventStore) -> None:
    runs, bus = list[int](), CommandBus()

    @bus.handler
    async def log(command: Log) -> int:
        runs.append(1)
        await asyncio.sleep(0)
        if len(runs) == 1:
            raise LimitReached
        return len(runs)

    opened = bound(event_store, bus)
    answers = await asyncio.gather(
        *(opened.dispatch(Log(name="x", command_id="k")) for _ in range(3)), return_exceptions=True
    )

    assert isinstance(answers[0], LimitReached)
    assert answers[1:] == [2, 2]


async def test_cancelling_one_that_waits_leaves_the_others_waiting(event_store: EventStore) -> None:
    go_on, bus = asyncio.Event(), CommandBus()

    @bus.handler
    async def log(command: Log) -> int:
        await go_on.wait()
        return 1

    opened = bound(event_store, bus)
    first, impatient, patient = (asyncio.create_task(opened.dispatch(Log(name="x", command_id="k"))) for _ in range(3))
    await asyncio.sleep(0)
    impatient.cancel()
    await asyncio.wait([impatient])
    go_on.set()

    assert [await first, await patient] == [1, 1]
    assert impatient.cancelled()


async def test_a_repeat_accepted_elsewhere_meanwhile_gives_its_answer(event_store: EventStore) -> None:
    """Another process is a bus that knows nothing of this one's commands in flight."""
    here, there = bound(event_store), bound(event_store)
    slow = CommandBus()

    @slow.handler
    async def begin(command: Begin) -> str:
        await asyncio.create_task(there.dispatch(Begin(counter="c", command_id="k")), context=OUTSIDE)
        raise BegunBefore(command.counter)

    assert await bound(event_store, slow).dispatch(Begin(counter="c", command_id="k")) == "c"
    assert await here.dispatch(Begin(counter="c", command_id="k")) == "c"


async def test_a_repeat_accepted_elsewhere_is_noticed_in_the_append(event_store: EventStore) -> None:
    there, slow, counters = bound(event_store), CommandBus(), Repository(event_store, Counter)

    @slow.handler
    async def begin(command: Begin) -> str:
        counter = Counter(command.counter)
        counter.begin(7)
        await counters.save(counter)
        await asyncio.create_task(there.dispatch(Begin(counter="c", command_id="k")), context=OUTSIDE)
        return "not this one"

    assert await bound(event_store, slow).dispatch(Begin(counter="c", command_id="k")) == "c"
    assert [event.data for event in await event_store.read_all()] == [Begun(limit=1000)]


# Direct appends


async def test_direct_appends_are_named_after_the_command_and_happen_once(event_store: EventStore) -> None:
    bus, runs = CommandBus(), list[int]()

    @bus.handler
    async def log(command: Log) -> int:
        runs.append(1)
        for n in (1, 2):
            await event_store.append_events(stream_id=command.name, stream_type="Log", events=[Counted(by=n)])
        if len(runs) == 1:
            raise ConnectionError("gone before the result was stored")
        return len(runs)

    opened = bound(event_store, bus)
    with pytest.raises(ConnectionError):
        await opened.dispatch(Log(name="x", command_id="k"))
    first = await opened.execute(Log(name="x", command_id="k"))

    assert (first.result, first.stream, first.version) == (2, "x", 1)
    assert first.position == await event_store.head()
    assert await opened.execute(Log(name="x", command_id="k")) == first
    assert [event.data for event in await event_store.read_all()] == [Counted(by=1), Counted(by=2)]
    assert [await event_store.command(id) is not None for id in ("k", "k/1", "k/2", "k/3")] == [True, True, True, False]


# Answers


async def test_a_repeat_s_answer_is_of_the_type_that_the_command_names(event_store: EventStore) -> None:
    bus, bill = CommandBus(), Bill(Decimal("9.90"), ("lamp",))

    @bus.handler
    async def charge(command: Charge) -> Bill:
        return bill

    opened = bound(event_store, bus)
    answers = [await opened.dispatch(Charge(command_id="k")) for _ in range(2)]

    assert answers == [bill, bill]
    assert type(answers[1].lines) is tuple


async def test_a_plain_command_s_answer_is_of_the_type_that_its_handler_names(event_store: EventStore) -> None:
    bus = CommandBus()

    @bus.handler
    async def answer(command: Answer) -> Bill:
        return Bill(Decimal(1), ())

    opened = bound(event_store, bus)

    assert [await opened.dispatch(Answer(command_id="k")) for _ in range(2)] == [Bill(Decimal(1), ())] * 2


@pytest.mark.parametrize("named", [Opaque, list[Opaque], dict[str, Opaque | None], EventStore])
def test_a_result_that_json_does_not_give_back_is_refused_at_registration(named: Any) -> None:
    async def answer(command: Answer) -> Any: ...

    answer.__annotations__["return"] = named
    with pytest.raises(BadHandler, match="the result of Answer .* can't be stored for a repeat"):
        CommandBus([answer])


@pytest.mark.parametrize("result", [Opaque(), float("nan"), 2**70, "\0", {"deep": [Opaque()]}])
async def test_a_result_that_can_not_be_stored_stores_nothing(event_store: EventStore, result: Any) -> None:
    bus, counters = CommandBus(), Repository(event_store, Counter)

    @bus.handler
    async def answer(command: Answer) -> Any:
        counter = Counter("c")
        counter.begin(1)
        await counters.save(counter)
        return result

    with pytest.raises(NotStorable, match="the result of Answer"):
        await bound(event_store, bus).dispatch(Answer(command_id="k"))
    assert await event_store.read_all() == []
    assert await event_store.command("k") is None


async def test_a_result_of_another_type_than_named_stores_nothing(event_store: EventStore) -> None:
    bus = CommandBus()

    @bus.handler
    async def log(command: Log) -> Any:
        return "seven"

    with pytest.raises(BadHandler, match="Expected `int`, got `str`"):
        await bound(event_store, bus).dispatch(Log(name="x", command_id="k"))
    assert await event_store.command("k") is None


async def test_an_answer_that_fits_its_type_no_more_says_so(event_store: EventStore) -> None:
    bus = bound(event_store)
    command = Count(counter="c", command_id="k")
    await event_store.commit([], CommandRecord("k", digest_of(command), b'"old"'), Metadata())

    with pytest.raises(BadMessage, match="the result of Count was stored in a form that int doesn't read any more"):
        await bus.dispatch(command)


async def test_a_direct_append_of_another_body_is_refused(event_store: EventStore) -> None:
    bus, fails = CommandBus(), True

    @bus.handler
    async def log(command: Log) -> int:
        await event_store.append_events(stream_id="Log-1", stream_type="Log", events=[Counted(by=len(command.name))])
        if fails:
            raise RuntimeError("after the append")
        return len(command.name)

    opened = bound(event_store, bus)
    with pytest.raises(RuntimeError):
        await opened.dispatch(Log(name="x", command_id="k"))
    fails = False
    with pytest.raises(CommandIdReused):
        await opened.dispatch(Log(name="another", command_id="k"))
    assert await opened.dispatch(Log(name="x", command_id="k")) == 1
    assert [event.data.by for event in await event_store.read_all()] == [1]


async def test_a_direct_append_is_not_taken_for_one_to_another_stream(event_store: EventStore) -> None:
    bus, counters, runs = CommandBus(), Repository(event_store, Counter), 0
    first = Counter("c")
    first.begin(100)
    await counters.save(first)

    @bus.handler
    async def log(command: Log) -> int:
        nonlocal runs
        runs += 1
        counter = await counters.load("c")
        stream = f"Log-{runs}"  # another branch in the second run
        await event_store.append_events(stream_id=stream, stream_type="Log", events=[Counted(by=1)])
        if runs == 1:
            begun = [Counted(by=1)]
            await OUTSIDE.copy().run(
                asyncio.create_task,
                event_store.append_events(stream_id="Counter-c", stream_type="Counter", events=begun),
            )
        counter.count(1)
        await counters.save(counter)
        return runs

    with pytest.raises(CommandIdReused):
        await bound(event_store, bus).dispatch(Log(name="x", command_id="k"))


# Digests


def test_a_digest_covers_the_type_and_what_was_given_and_no_defaults() -> None:
    digest = digest_of(Count(counter="c", command_id="1"))

    assert digest == digest_of(Count(counter="c", command_id="2"))
    assert digest != digest_of(Count(counter="d", command_id="1"))
    assert digest != digest_of(Look(counter="c", command_id="1"))
    assert digest != digest_of(Count(counter="c", by=1, command_id="1"))
    assert digest != digest_of(Count(counter="c", command_id="1", timestamp=now()))
    assert len(digest) == 16


def test_a_command_that_json_has_no_form_for_has_no_digest() -> None:
    class Odd(Command):
        what: Any

    with pytest.raises(NotStorable, match="Odd"):
        digest_of(Odd(what=Opaque()))
    with pytest.raises(NotStorable, match="the id of Odd"):
        digest_of(Odd(what=1, command_id="\ud800"))
