"""The way to the server fails: the answer is lost, or nothing comes back at all."""

import asyncio
from collections.abc import Callable
from random import Random
from time import monotonic

import asyncpg
import pytest
from tests.clusters import Cluster
from tests.faults.postgres.foreigners import CALL, foreign
from tests.faults.postgres.proxy import proxy_before
from tests.faults.waiting import until

from diptych import Misuse, OutcomeUnknown, Unavailable
from diptych.store.port import Append, Outcome
from diptych.store.postgres import Limits, open_postgres
from diptych.store.postgres.appender import Appender
from diptych.store.postgres.batch import Known, lists
from diptych.store.postgres.flusher import Witness
from diptych.store.queue import Answer
from diptych.testing.conformance.case import a_command, an_append, event, everything, to

SIZES = (1, 1, 2, 5, 50)
LONG_ENOUGH = Limits(patience_s=60)  # for a server to start again on a busy machine


async def test_an_answer_that_is_lost_is_asked_for_again(cluster: Cluster, amount: Callable[..., int]) -> None:
    """The proxy cuts when it sees that it is durable: it happened, and nobody was told."""
    random = Random(8)
    async with proxy_before(cluster.port) as proxy, open_postgres(cluster.url(port=proxy.port)) as store:
        for number in range(amount(short=20, long=200)):
            proxy.cut_at = b"diptych_commit"
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
    """Committed in memory, waiting for the disk, the server gone: nobody was answered, so all of it happens again."""
    cluster.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    cluster.psql("SELECT pg_reload_conf()")
    async with open_postgres(cluster.url(), LONG_ENOUGH) as store, foreign(cluster) as other:
        await store.append(an_append(to("Order-0")))
        await stop_before_the_disk(other)
        waiting = [asyncio.create_task(store.append(append)) for append in appends]
        await until(lambda: is_stopped(cluster), "nothing was appended")
        await asyncio.to_thread(cluster.crash)
        await asyncio.to_thread(cluster.start)
        outcomes = await asyncio.gather(*waiting)

        assert not any(outcome.repeated for outcome in outcomes)
        there = {event.id for event in await everything(store)}
        commands = [append.id for append in appends if append.command and await store.command(append.id)]
        assert there.union(commands).issuperset(append.id for append in appends)


async def stop_before_the_disk(connection: asyncpg.Connection) -> None:
    """From now on, until the server starts again, what is appended does not reach the disk."""
    procedure = await connection.fetchval("SELECT pg_get_functiondef('diptych_commit'::regproc)")
    started = await connection.fetchval("SELECT pg_postmaster_start_time()::text")
    sleep = f"PERFORM pg_sleep(600) WHERE pg_postmaster_start_time()::text = '{started}';"
    before, commit, behind = procedure.partition("COMMIT;")
    await connection.execute(f"{before}{commit}\n{sleep}\n{behind}")


def is_stopped(cluster: Cluster) -> bool:
    """Whether a batch was appended and waits."""
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
    return int(cluster.psql(waits)) > 0


POISON = """
CREATE FUNCTION dies_slowly() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_sleep(0.5);
    RAISE EXCEPTION 'poison' USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER dies_slowly BEFORE INSERT ON diptych_event FOR EACH ROW WHEN (NEW.stream = 'Poison')
    EXECUTE FUNCTION dies_slowly()
"""


async def test_a_batch_that_fails_in_its_turn_is_not_overtaken(cluster: Cluster) -> None:
    """The next one was sent right behind it, finds nothing of it, and goes again when the first has its answer."""
    async with open_postgres(cluster.url()) as store:
        cluster.psql(POISON)
        good = asyncio.create_task(store.append(an_append(to("Order-1", expected=0))))
        poison = asyncio.create_task(store.append(an_append(to("Poison"))))
        await until(lambda: is_stopped(cluster), "the first batch is not under way")
        next = asyncio.create_task(store.append(an_append(to("Order-1", event(), expected=1))))
        first, refused, second = await asyncio.gather(good, poison, next, return_exceptions=True)

        assert isinstance(refused, Misuse)
        assert isinstance(first, Outcome)
        assert isinstance(second, Outcome)
        assert [first.ends[0].version, second.ends[0].version] == [1, 2]


async def test_a_witness_that_is_gone_is_never_durable(cluster: Cluster) -> None:
    """Behind a pooler a connection outlives the server that knew of it."""
    async with open_postgres(cluster.url()) as store:
        append = an_append(to("Order-1"), command=a_command())
        await store.append(append)
        there, flush = append.streams[0].events[0].id, store._flusher.flush

        assert await flush(Witness((1,), (there,), (append.id,)))
        assert not await flush(Witness((1,), ("another",)))
        assert not await flush(Witness((2,), (there,)))
        assert not await flush(Witness(commands=("another",)))


async def test_what_a_reader_saw_and_a_crash_took_is_not_told(cluster: Cluster) -> None:
    """Seen in memory, its flush on the way, the server gone: the reader looks again."""
    cluster.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    cluster.psql("SELECT pg_reload_conf()")
    async with (
        proxy_before(cluster.port) as proxy,
        open_postgres(cluster.url(port=proxy.port), LONG_ENOUGH) as store,
        foreign(cluster) as other,
    ):
        await store.append(an_append(to("Order-1")))
        await other.fetch(CALL, False, 1000, *lists([an_append(to("Order-2"))]))  # committed, and not yet synced
        proxy.holds = b"diptych_flush"
        reading = asyncio.create_task(store.read(0, limit=10))
        await until(lambda: proxy.held > 0, "nothing was flushed")
        await asyncio.to_thread(cluster.crash)
        proxy.holds = b""
        await asyncio.to_thread(cluster.start)

        assert [each.stream for each in (await reading).events] == ["Order-1"]


async def test_a_flush_whose_answer_is_lost_is_asked_for_again(cluster: Cluster, amount: Callable[..., int]) -> None:
    """The proxy cuts when it sees that what a reader saw is durable: it looks again, and is shown it all the same."""
    async with (
        proxy_before(cluster.port) as proxy,
        open_postgres(cluster.url(port=proxy.port)) as store,
        foreign(cluster) as other,
    ):
        for number in range(1, amount(short=5, long=50)):
            await other.fetch(CALL, False, 1000, *lists([an_append(to(f"Order-{number}"))]))  # not yet synced
            proxy.cut_at = b"diptych_flush"
            assert (await store.read(number - 1, limit=10)).through == number
        assert proxy.cuts


async def test_a_command_whose_answer_is_lost_is_done_once(cluster: Cluster, amount: Callable[..., int]) -> None:
    async with proxy_before(cluster.port) as proxy, open_postgres(cluster.url(port=proxy.port)) as store:
        for number in range(amount(short=20, long=200)):
            proxy.cut_at = b"diptych_"
            command = a_command(f"command-{number}")
            outcome = await store.append(an_append(to("Order-1"), command=command))

            assert outcome.ends[0].version == number + 1
        assert proxy.cuts


async def test_an_append_that_may_be_stored_is_never_said_to_be_refused(cluster: Cluster) -> None:
    """Its answer is lost, and then nobody is let in any more: it is there, and its sender is told that it may be."""
    cluster.psql("CREATE ROLE shut_out LOGIN SUPERUSER")
    append = an_append(to("Order-1"))
    async with (
        proxy_before(cluster.port) as proxy,
        open_postgres(cluster.url(user="shut_out", port=proxy.port), Limits(patience_s=2.0)) as store,
    ):
        await store.append(an_append(to("Order-0"), to("Order-2")))
        cluster.psql("ALTER ROLE shut_out NOLOGIN")
        proxy.cut_at = b"diptych_"
        with pytest.raises(OutcomeUnknown):
            await store.append(append)
    async with open_postgres(cluster.url()) as store:
        assert append.streams[0].events[0].id in [each.id for each in await everything(store)]


async def test_an_append_that_was_never_sent_is_in_no_doubt(cluster: Cluster) -> None:
    async with open_postgres(cluster.url(), Limits(patience_s=1.0)) as store:
        cluster.stop()
        with pytest.raises(Unavailable) as away:
            await store.append(an_append(to("Order-1")))

    assert type(away.value) is Unavailable


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


async def test_what_was_seen_before_a_crash_is_looked_at_again_behind_it(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same ids may have come back at another time: only what is seen behind the crash is told."""
    async with open_postgres(cluster.url(), LONG_ENOUGH) as store:
        await store.append(Append("command-1", (), a_command("command-1")))
        flushes = 0
        flush = store._flusher.flush

        async def crash_first(witness: Witness) -> bool:
            nonlocal flushes
            flushes += 1
            if flushes == 1:
                await asyncio.to_thread(cluster.crash)
                await asyncio.to_thread(cluster.start)
            return await flush(witness)

        monkeypatch.setattr(store._flusher, "flush", crash_first)

        assert await store.command("command-1") is not None
        assert flushes == 2


ONE_BY_ONE = """
CREATE FUNCTION one_by_one() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF (SELECT count(*) FROM new) > 1 THEN RAISE EXCEPTION 'one at a time'; END IF;
    PERFORM pg_sleep(0.3);
    RETURN NULL;
END $$;
CREATE TRIGGER one_by_one AFTER INSERT ON diptych_event REFERENCING NEW TABLE AS new FOR EACH STATEMENT
    EXECUTE FUNCTION one_by_one()
"""


async def test_appends_of_a_batch_that_fails_share_its_time(cluster: Cluster) -> None:
    """Each is sent alone while there is time; the others are told at once that they were not."""
    limits = Limits(patience_s=1.0)
    async with open_postgres(cluster.url(), limits) as store:
        cluster.psql(ONE_BY_ONE)
        began = monotonic()
        appends = [store.append(an_append(to(f"Order-{number}"))) for number in range(16)]
        answers = await asyncio.gather(*appends, return_exceptions=True)
        took_s = monotonic() - began
        cluster.psql("DROP TRIGGER one_by_one ON diptych_event")

        stored = [answer for answer in answers if isinstance(answer, Outcome)]
        assert 0 < len(stored) < 16
        assert {type(answer) for answer in answers if answer not in stored} == {Unavailable}
        assert took_s < 4 * limits.patience_s
        assert len(await everything(store)) == len(stored)


async def test_an_id_that_another_server_does_not_know_is_not_said_to_be_used(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Known to the one that took the batch, and then a standby is asked that never heard of it: it is sent again."""
    async with open_postgres(cluster.url()) as store:
        append = an_append(to("Order-1"), command=a_command())
        await store.append(append)
        answer, asked = Appender._answer, 0

        async def by_another_server(appender: Appender, known: Known, connections: int) -> Answer:
            nonlocal asked
            asked += 1
            if asked == 1:
                appender._line.abandon()
                cluster.psql("ALTER TABLE diptych_event DISABLE TRIGGER USER")
                cluster.psql("DELETE FROM diptych_command; DELETE FROM diptych_event")
            return await answer(appender, known, connections)

        monkeypatch.setattr(Appender, "_answer", by_another_server)

        assert not (await store.append(append)).repeated
        assert asked == 1
