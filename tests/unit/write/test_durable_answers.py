"""An answer that no append comes with is true of what the log keeps."""

import pytest
from typing_extensions import override

from diptych.catalogue import Catalogue
from diptych.codec import Codec
from diptych.errors import PreconditionFailed, Unavailable
from diptych.log import EventStore
from diptych.store.memory import MemoryStore
from diptych.store.port import StoredEvent
from diptych.write.bus import CommandBus
from diptych.write.command import Command
from diptych.write.condition import Condition
from diptych.write.repository import Repository

from .counter import EVENTS, Begin, Count, Counter, LimitReached, Look, bound


class Forgetful(MemoryStore):
    """A log that a crash strikes between a load and the answer, once `has_crashed` is set."""

    has_crashed = False

    @property
    @override
    def connections(self) -> int:
        return int(self.has_crashed)

    @override
    async def event_at(self, position: int) -> StoredEvent | None:
        return None if self.has_crashed else await super().event_at(position)


@pytest.mark.parametrize(
    ("command", "condition", "answer"),
    [
        (Count(counter="c", by=6), None, LimitReached),
        (Look(counter="c"), None, None),
        (Count(counter="c"), Condition(only=(7,)), PreconditionFailed),
    ],
    ids=["a refusal", "a result", "a condition"],
)
async def test_what_is_answered_from_what_a_crash_took_is_to_be_sent_again(
    command: Command[int], condition: Condition | None, answer: type[Exception] | None
) -> None:
    store = Forgetful()
    bus = bound(EventStore(store, Codec(Catalogue(EVENTS))))
    await bus.execute(Begin(counter="c", limit=5))
    if answer is None:
        await bus.execute(Look(counter="c"))
    else:
        with pytest.raises(answer):
            await bus.execute(command, condition=condition)
    store.has_crashed = True

    with pytest.raises(Unavailable, match=r"lost the end of stream 'Counter-c' .* send the command again"):
        await bus.execute(command, condition=condition)
    assert await store.command(command.command_id) is None
    assert (await bus.execute(Count(counter="c"))).version == 2


class Copy(Command[int]):
    """Begins a counter with the total of another."""

    source: str
    target: str


async def test_what_is_appended_never_follows_from_what_a_crash_took_meanwhile() -> None:
    store = Forgetful()
    copying = CommandBus()

    @copying.handler
    async def copy(command: Copy, counters: Repository[Counter]) -> int:
        source = await counters.load(command.source)
        store.has_crashed = True
        target = Counter(command.target)
        target.begin(source.total)
        await counters.save(target)
        return target.total

    event_store = EventStore(store, Codec(Catalogue(EVENTS)))
    await bound(event_store).execute(Begin(counter="c"))

    with pytest.raises(Unavailable, match="lost the end of stream 'Counter-c'"):
        await bound(event_store, copying).execute(Copy(source="c", target="d"))
    assert await store.read_stream("Counter-d") == ()
