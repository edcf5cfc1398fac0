"""Reactions in an open application: what they ask for, what they dispatch, and the kit that tries them."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from diptych import (
    Aggregate,
    BadProjection,
    Command,
    CommandBus,
    CommandIdReused,
    Diptych,
    Event,
    MissingDependencies,
    Reaction,
    RecordedEvent,
    Repository,
    Unavailable,
    acting,
    log_restored,
)
from diptych.read.projections.failure import Park
from diptych.testing import in_process, reacting


class Shipped(Event):
    order_id: str


class Thanked(Event):
    order_id: str
    words: str


class Order(Aggregate[Shipped | Thanked]):
    def ship(self) -> None:
        self.record(Shipped(order_id=self.id))

    def thank(self, words: str) -> None:
        self.record(Thanked(order_id=self.id, words=words))

    def apply(self, event: Shipped | Thanked) -> None:
        self.last = event


class Ship(Command[str]):
    order_id: str


class Thank(Command[str]):
    order_id: str
    words: str = "thank you"


@dataclass
class Post:
    sent: dict[str, str]


commands = CommandBus()


@commands.handler
async def ship(command: Ship, orders: Repository[Order]) -> str:
    order = Order(command.order_id)
    order.ship()
    await orders.save(order)
    return order.id


@commands.handler
async def thank(command: Thank, orders: Repository[Order]) -> str:
    order = await orders.load(command.order_id)
    order.thank(command.words)
    await orders.save(order)
    return command.words


class Mail(Reaction[Shipped]):
    def __init__(self, post: Post) -> None:
        self.post = post

    async def react(self, event: RecordedEvent[Shipped]) -> None:
        self.post.sent[self.id_of(event)] = event.data.order_id


class Thanks(Reaction[Shipped]):
    """Dispatches twice, and does all of it again the first time."""

    def __init__(self, bus: CommandBus) -> None:
        self.bus, self.answers = bus, list[str]()

    async def react(self, event: RecordedEvent[Shipped]) -> None:
        order_id = event.data.order_id
        for words in ("thank you", "come again"):
            self.answers.append(await self.bus.dispatch(Thank(order_id=order_id, words=words)))
        if len(self.answers) == 2:
            raise Unavailable("this process dies before its checkpoint")


async def test_a_reaction_has_what_its_constructor_asks_for() -> None:
    post = Post({})
    async with in_process(Diptych(commands, reactions=[Mail], provide={Post: post})) as running:
        await running.dispatch(Ship(order_id="o"))
        await running.caught_up()
        (shipped,) = await running.event_store.read_all()

    assert post.sent == {f"mail-{shipped.event_id}": "o"}


async def test_an_object_may_react_as_well_as_a_class() -> None:
    mail = Mail(Post({}))
    async with in_process(Diptych(commands, reactions=[mail])) as running:
        await running.dispatch(Ship(order_id="o"))
        await running.caught_up()

    assert list(mail.post.sent.values()) == ["o"]


async def test_what_nobody_provides_is_named_when_the_application_opens() -> None:
    with pytest.raises(MissingDependencies, match=r"Post \(asked by Mail: post\)"):
        async with in_process(Diptych(commands, reactions=[Mail])):
            pass


async def test_commands_of_a_reaction_happen_once_however_often_it_does() -> None:
    async with in_process(Diptych(commands, reactions=[Thanks])) as running:
        with acting(correlation_id="c-1"):
            await running.dispatch(Ship(order_id="o"))
        await running.caught_up()
        shipped, *thanked = await running.event_store.read_all()

    assert [event.data.words for event in thanked] == ["thank you", "come again"]
    name = f"thanks-{shipped.event_id}"
    assert [event.metadata.command_id for event in thanked] == [name, f"{name}-2"]
    assert {event.metadata.correlation_id for event in thanked} == {"c-1"}


async def test_a_command_that_is_another_one_the_second_time_is_a_dead_letter() -> None:
    class Fickle(Thanks):
        on_failure = Park(tries=1)
        times = 0

        async def react(self, event: RecordedEvent[Shipped]) -> None:
            self.times += 1
            await self.bus.dispatch(Thank(order_id=event.data.order_id, words=str(self.times)))
            if self.times == 1:
                raise Unavailable("this process dies before its checkpoint")

    async with in_process(Diptych(commands, reactions=[Fickle])) as running:
        await running.dispatch(Ship(order_id="o"))
        with pytest.raises(Unavailable, match="parked"):
            await running.caught_up()
        (status,) = await running.synchronizer.status()

    assert CommandIdReused.__name__ not in str(status.parked[0].error)
    assert "accepted before with a different body" in str(status.parked[0].error)


async def test_the_kit_delivers_every_event_twice_with_one_id() -> None:
    post = Post({})
    tried = await reacting(Mail(post)).given(Shipped(order_id="o"), Thanked(order_id="o", words="x"))

    assert post.sent == {tried.ids[0]: "o"}
    assert len(tried.ids) == 1

    class Careless(Mail):
        async def react(self, event: RecordedEvent[Shipped]) -> None:
            self.post.sent[f"{len(self.post.sent)}"] = event.data.order_id

    careless = Post({})
    await reacting(Careless(careless)).given(Shipped(order_id="o"))
    assert len(careless.sent) == 2


@pytest.mark.parametrize(("what", "value"), [("version", 2), ("partitions", 2), ("start", "yesterday")])
def test_what_a_reaction_can_not_say_is_refused(what: str, value: object) -> None:
    with pytest.raises(BadProjection, match=what):
        type("Odd", (Mail,), {what: value})


async def test_a_reaction_goes_on_behind_what_a_restored_log_still_has(tmp_path: Path) -> None:
    log, read, mail = tmp_path / "log.db", f"sqlite:///{tmp_path}/read.db", Mail(Post({}))
    app = Diptych(commands, reactions=[mail])
    async with app.open(f"sqlite:///{log}", read) as running:
        await running.dispatch(Ship(order_id="kept"))
        await running.caught_up()
    copy = log.read_bytes()
    async with app.open(f"sqlite:///{log}", read) as running:
        for number in range(3):
            await running.dispatch(Ship(order_id=f"lost-{number}"))
        await running.caught_up()
    log.write_bytes(copy)

    mended = await log_restored(f"sqlite:///{log}", read)
    async with app.open(f"sqlite:///{log}", read) as running:
        await running.dispatch(Ship(order_id="new"))
        await running.caught_up()

    assert [of.projection for of in mended.kept] == ["mail"]
    assert list(mail.post.sent.values()) == ["kept", "lost-0", "lost-1", "lost-2", "new"]
