import pytest

from diptych.errors import BadMessage, NotFound, Refused
from diptych.event import Event
from diptych.log import EventStore
from diptych.write.aggregate import state_of
from diptych.write.bus import CommandBus
from diptych.write.command import Command
from diptych.write.decider import Decider, Decisions, decided_by

from .counter import Begun, Counted, bound


class Add(Command[int]):
    to: str
    by: int


class Summing(Decider[Add, int, Counted]):
    category = "Sum"

    def initial(self, id: str) -> int:
        return len(id)

    def decide(self, command: Add, state: int) -> list[Counted]:
        if state + command.by > 10:
            raise Refused("too much")
        return [Counted(by=1)] * command.by

    def evolve(self, state: int, event: Counted) -> int:
        return state + event.by


class Confused(Summing):
    def decide(self, command: Add, state: int) -> list[Event]:  # type: ignore[override]
        return [Begun(limit=1)]


async def test_what_is_decided_is_stored_and_folded_next_time(event_store: EventStore) -> None:
    sums = Decisions(event_store, Summing())

    assert await sums.decide("abc", Add(to="abc", by=2)) == (Counted(by=1), Counted(by=1))
    assert await sums.decide("abc", Add(to="abc", by=5)) == (Counted(by=1),) * 5
    with pytest.raises(Refused, match="too much"):
        await sums.decide("abc", Add(to="abc", by=1))
    assert [event.version for event in await event_store.read_stream("Sum-abc")] == [1, 2, 3, 4, 5, 6, 7]


async def test_the_state_of_a_thing_is_asked_for_as_it_is_and_as_it_was(event_store: EventStore) -> None:
    sums = Decisions(event_store, Summing())
    await sums.decide("abc", Add(to="abc", by=2))
    await sums.decide("abc", Add(to="abc", by=5))
    second = (await event_store.read_stream("Sum-abc"))[1].global_position

    assert (await sums.state("abc"), await sums.state("abc", at=second)) == (10, 5)
    with pytest.raises(NotFound):
        await sums.state("abc", at=0)
    decided = decided_by(Summing())("abc")
    assert state_of(decided) == {"id": "abc", "version": 0, "state": 3}


async def test_nothing_decided_is_nothing_stored(event_store: EventStore) -> None:
    assert await Decisions(event_store, Summing()).decide("a", Add(to="a", by=0)) == ()
    assert await event_store.read_all() == []


async def test_an_event_that_is_not_its_own_is_refused(event_store: EventStore) -> None:
    with pytest.raises(BadMessage, match="none of its events: Counted"):
        await Decisions(event_store, Confused()).decide("a", Add(to="a", by=1))


async def test_within_a_command_it_commits_with_the_command(event_store: EventStore) -> None:
    bus, sums = CommandBus(), Decisions(event_store, Summing())

    @bus.handler
    async def add(command: Add) -> int:
        await sums.decide(command.to, command)
        assert await event_store.read_all() == []
        return len(await sums.decide(command.to, command))

    receipt = await bound(event_store, bus).execute(Add(to="a", by=2, command_id="c"))

    assert (receipt.result, receipt.stream, receipt.version) == (2, "Sum-a", 4)
    assert {event.metadata.command_id for event in await event_store.read_all()} == {"c"}
