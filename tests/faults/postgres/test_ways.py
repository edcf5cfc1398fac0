"""The way to the server fails: the answer is lost, or nothing comes back at all."""

import asyncio
from collections.abc import Callable
from random import Random

import pytest
from tests.clusters import Cluster
from tests.faults.postgres.proxy import proxy_before
from tests.faults.waiting import until

from diptych import Unavailable
from diptych.store.port import Append
from diptych.store.postgres import Limits, open_postgres
from diptych.testing.conformance.case import a_command, an_append, event, everything, to

SIZES = (1, 1, 2, 5, 50)


@pytest.mark.parametrize("what", [b"diptych_append", b"diptych_flush"])
async def test_an_answer_that_is_lost_is_asked_for_again(
    cluster: Cluster, amount: Callable[..., int], what: bytes
) -> None:
    """The proxy cuts when it sees the answer to the append, or to the flush: it happened, and nobody was told."""
    random = Random(8)
    async with proxy_before(cluster.port) as proxy, open_postgres(cluster.url(port=proxy.port)) as store:
        for number in range(amount(short=20, long=200)):
            proxy.cut_at = what
            appends = [
                an_append(to(f"S-{number}-{each}", *(event() for _ in range(random.choice(SIZES))), expected=0))
                for each in range(random.randint(1, 12))
            ]
            outcomes = await asyncio.gather(*[store.append(append) for append in appends])

            for append, outcome in zip(appends, outcomes, strict=True):
                [stream] = append.streams
                assert [(end.stream, end.version) for end in outcome.ends] == [(stream.stream, len(stream.events))]
        assert proxy.cuts

        events = await everything(store)
        assert len({event.id for event in events}) == len(events)


EVENTS = [an_append(to(f"Order-{number}", expected=0)) for number in range(1, 6)]
COMMANDS = [Append(f"command-{number}", (), a_command(f"command-{number}")) for number in range(5)]


@pytest.mark.parametrize("appends", [EVENTS, COMMANDS], ids=["events", "commands"])
async def test_what_a_crash_took_before_it_was_synced_is_sent_again(cluster: Cluster, appends: list[Append]) -> None:
    """Committed in memory, the flush on its way, the server gone: nobody was answered, so all of it happens again."""
    cluster.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    cluster.psql("SELECT pg_reload_conf()")
    async with proxy_before(cluster.port) as proxy, open_postgres(cluster.url(port=proxy.port)) as store:
        await store.append(an_append(to("Order-0")))
        proxy.holds = b"diptych_flush"
        waiting = [asyncio.create_task(store.append(append)) for append in appends]
        await until(lambda: proxy.held > 0, "nothing was flushed")
        await asyncio.to_thread(cluster.crash)
        proxy.holds = b""
        await asyncio.to_thread(cluster.start)
        outcomes = await asyncio.gather(*waiting)

        assert not any(outcome.repeated for outcome in outcomes)
        there = {event.id for event in await everything(store)}
        commands = [append.id for append in appends if append.command and await store.command(append.id)]
        assert there.union(commands).issuperset(append.id for append in appends)


async def test_a_command_whose_answer_is_lost_is_done_once(cluster: Cluster, amount: Callable[..., int]) -> None:
    async with proxy_before(cluster.port) as proxy, open_postgres(cluster.url(port=proxy.port)) as store:
        for number in range(amount(short=20, long=200)):
            proxy.cut_at = b"diptych_append"
            command = a_command(f"command-{number}")
            outcome = await store.append(an_append(to("Order-1"), command=command))

            assert outcome.ends[0].version == number + 1
        assert proxy.cuts


async def test_a_server_that_answers_nothing_any_more_is_said_to_be_away(cluster: Cluster) -> None:
    async with (
        proxy_before(cluster.port) as proxy,
        open_postgres(cluster.url(port=proxy.port), Limits(patience_s=1.0)) as store,
    ):
        await store.append(an_append(to("Order-1")))
        proxy.swallows = True
        async with asyncio.timeout(30):
            for call in (store.append(an_append(to("Order-2"))), store.read(0, limit=1), store.head()):
                with pytest.raises(Unavailable):
                    await call

        proxy.swallows = False
        outcome = await store.append(an_append(to("Order-3")))
        assert (await everything(store))[-1].position == outcome.position
