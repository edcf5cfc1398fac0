"""Cancel callers at random moments: each append is there whole or not at all, and is known when asked again."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from tests.faults.checks import check_read_models, check_sound
from tests.faults.tallies import Tallied

from diptych import open_store
from diptych.app import Running
from orders.app import app
from orders.messages import OrderById, PlaceOrder
from orders.values import Address, Line

LINE = Line(product_id="11", quantity=1, price=Decimal("14.00"))


async def test_appends_cancelled_at_random_moments_are_whole_or_absent(
    tmp_path: Path, amount: Callable[..., int]
) -> None:
    random, number = Random(4), amount(short=500, long=5_000)
    async with open_store(f"sqlite:///{tmp_path}/log.db", [Tallied]) as event_store:

        async def append(stream: str) -> None:
            events = [Tallied(name=stream, number=n) for n in (1, 2)]
            await event_store.append_events(stream_id=stream, stream_type="S", events=events)

        streams = [f"S-{n}" for n in range(number)]
        answered = await cancelled_at_random([(stream, append(stream)) for stream in streams], random)
        lengths = {stream: len(await event_store.read_stream(stream)) for stream in streams}

    assert set(lengths.values()) <= {0, 2}
    assert answered
    assert len(answered) < number
    assert {lengths[stream] for stream in answered} == {2}
    check_sound(tmp_path / "log.db")


async def test_commands_cancelled_at_random_moments_are_done_once_when_sent_again(
    tmp_path: Path, amount: Callable[..., int]
) -> None:
    random, number = Random(5), amount(short=300, long=3_000)
    async with app.open(f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/read.db") as running:
        ids = [f"o{n}" for n in range(number)]
        answered = await cancelled_at_random([(id, place(running, id)) for id in ids], random)
        assert answered
        assert len(answered) < number
        for id in ids:
            await place(running, id)

        await running.caught_up(60)
        events = await running.event_store.read_all(limit=100_000)
        assert sorted(event.stream_id for event in events) == sorted(f"Order-{id}" for id in ids)
        await check_read_models(running)


async def test_queries_cancelled_at_random_moments_give_their_connections_back(
    tmp_path: Path, amount: Callable[..., int]
) -> None:
    random, number = Random(6), amount(short=300, long=3_000)
    async with app.open(f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/read.db") as running:
        await place(running, "a")
        head = await running.event_store.head()
        asks = [
            (str(n), running.ask(OrderById(order_id="a"), position=head + n % 2, timeout_s=0.2)) for n in range(number)
        ]
        await cancelled_at_random(asks, random)

        async with asyncio.timeout(60):
            answers = await asyncio.gather(
                *[running.ask(OrderById(order_id="a"), position=head, timeout_s=60) for _ in range(50)]
            )
        assert {answer.data.order_id for answer in answers} == {"a"}


async def place(running: Running, id: str) -> None:
    order = PlaceOrder(command_id=id, order_id=id, customer_id="c", items=(LINE,), shipping_address=Address())
    assert (await running.dispatch(order)).order_id == id


async def cancelled_at_random(calls: Sequence[tuple[str, Coroutine[Any, Any, object]]], random: Random) -> set[str]:
    """Make the calls at once, cancel most of them on their way; the names of those that were answered."""
    tasks = {name: asyncio.create_task(call, name=name) for name, call in calls}
    names = list(tasks)
    random.shuffle(names)
    for name in names[: len(names) * 9 // 10]:
        if random.random() < 0.5:
            await asyncio.sleep(0)
        if random.random() < 0.02:
            await asyncio.wait([tasks[random.choice(names)]], timeout=0.005)
        tasks[name].cancel()
    await asyncio.wait(tasks.values())
    return {name for name, task in tasks.items() if not task.cancelled() and task.exception() is None}
