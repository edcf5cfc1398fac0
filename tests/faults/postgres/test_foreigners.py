"""What others do to the log's server: sleep with its lock, keep transactions open, read what is not yet durable."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random

import asyncpg
import pytest
from msgspec.structs import replace
from tests.clusters import Cluster
from tests.faults.postgres.foreigners import CALL, foreign
from tests.faults.test_cancellation import cancelled_at_random
from tests.unit.write.counter import EVENTS, Begun, Count, Counter, LimitReached, Look, bound

from diptych import (
    ANY,
    NO_STREAM,
    Catalogue,
    Codec,
    EventStore,
    Misuse,
    OutcomeUnknown,
    Repository,
    Unavailable,
    WrongVersion,
)
from diptych.store.port import Append, Expect, LogIdentity, Outcome, StoredEvent, StreamAppend
from diptych.store.postgres import Limits, open_postgres
from diptych.store.postgres.batch import lists
from diptych.store.postgres.store import PostgresStore
from diptych.store.postgres.writer import Writer
from diptych.testing.conformance.case import a_command, an_append, event, everything, to

LOOKS: dict[str, Callable[[PostgresStore], Awaitable[object]]] = {
    "a page": lambda store: store.read(0, limit=10),
    "a page of categories": lambda store: store.read(0, limit=10, categories=["Order"]),
    "a page of types": lambda store: store.read(0, limit=10, types=["Happened"]),
    "a stream": lambda store: store.read_stream("Order-2"),
    "streams": lambda store: store.streams(limit=10),
    "streams of a category": lambda store: store.streams(limit=10, category="Order"),
    "an event": lambda store: store.event_at(2),
    "a position": lambda store: store.position_of("Order-2", 1),
    "the head": lambda store: store.head(),
    "a command": lambda store: store.command("command-2"),
    "commands": lambda store: store.commands(limit=10),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
async def test_what_a_reader_was_shown_stays_however_the_server_ends(
    cluster: Cluster, look: Callable[[PostgresStore], Awaitable[object]]
) -> None:
    cluster.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    cluster.psql("SELECT pg_reload_conf()")
    async with open_postgres(cluster.url()) as store, foreign(cluster) as other:
        await store.append(an_append(to("Order-1")))
        before = await look(store)
        second = an_append(to("Order-2"), command=a_command("command-2"))
        await other.fetch(CALL, False, 1000, *lists([second]))  # committed, and not yet synced
        shown = await look(store)
        cluster.crash()
        cluster.start()

        assert shown != before
        assert await look(store) == shown


async def test_what_need_not_be_durable_may_be_taken_back_by_a_crash(cluster: Cluster) -> None:
    """That the test above can fail: nothing else syncs what the other wrote."""
    cluster.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    cluster.psql("SELECT pg_reload_conf()")
    async with open_postgres(cluster.url()) as store, foreign(cluster) as other:
        await store.append(an_append(to("Order-1")))
        await other.fetch(CALL, False, 1000, *lists([an_append(to("Order-2"))]))
        seen = await store.read(0, limit=10, durable=False)
        cluster.crash()
        cluster.start()

        assert len(seen.events) == 2
        assert [each.stream for each in await everything(store)] == ["Order-1"]


CONTENT = """
SELECT (SELECT array_agg(e.id ORDER BY e.position) FROM diptych_event AS e),
    (SELECT array_agg(c.id ORDER BY c.id) FROM diptych_command AS c), (SELECT array_agg(l::text) FROM diptych_log AS l)
"""


async def put_two(store: PostgresStore) -> None:
    await store.put([StoredEvent(2, "Order-2", "Order", 1, "Happened", 1, "put", b"{}", b"{}", 2**62)])


async def forget(store: PostgresStore) -> None:
    pruned = await store.prune_commands(2**62, limit=10)
    assert pruned.forgotten == 1


ACTS: dict[str, Callable[[PostgresStore], Awaitable[object]]] = {
    "an append": lambda store: store.append(an_append(to("Order-2"))),
    "a command": lambda store: store.append(Append("command-2", (), a_command("command-2"))),
    "a batch": lambda store: asyncio.gather(*[store.append(an_append(to(f"Order-{number}"))) for number in (2, 3)]),
    "events put": put_two,
    "commands pruned": forget,
    "a new identity": lambda store: store.become(LogIdentity(store.identity.log_id, store.identity.incarnation + 1)),
}


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_what_is_done_stays_though_the_server_does_not_wait_for_the_disk(
    cluster: Cluster, act: Callable[[PostgresStore], Awaitable[object]]
) -> None:
    async with open_postgres(cluster.url()) as store:
        await store.append(an_append(to("Order-1"), command=a_command()))
    cluster.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    cluster.psql("ALTER SYSTEM SET synchronous_commit = 'off'")
    cluster.psql("SELECT pg_reload_conf()")
    async with open_postgres(cluster.url()) as store:
        before = cluster.psql(CONTENT)
        await act(store)
        done = cluster.psql(CONTENT)
        cluster.crash()
        cluster.start()

        assert done != before
        assert cluster.psql(CONTENT) == done


async def test_what_one_appends_alone_is_there_however_the_server_ends(cluster: Cluster) -> None:
    """One event, or one with its command: the shortest way waits for the disk as well."""
    cluster.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    cluster.psql("SELECT pg_reload_conf()")
    async with open_postgres(cluster.url()) as store:
        for number in range(1, 4):  # alone from the second on
            await store.append(an_append(to(f"Order-{number}")))
            outcome = await store.append(an_append(to(f"Note-{number}"), command=a_command(f"command-{number}")))
            await asyncio.to_thread(cluster.crash)
            await asyncio.to_thread(cluster.start)

            assert (await everything(store))[-1].position == outcome.position
            assert await store.command(f"command-{number}") == replace(outcome, repeated=True)


@pytest.mark.parametrize("expected", [ANY, NO_STREAM])
async def test_an_answer_that_follows_from_what_is_not_durable_makes_it_so(cluster: Cluster, expected: Expect) -> None:
    """A repeat or a refusal writes nothing, so that its own commit waits for nothing."""
    cluster.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    cluster.psql("SELECT pg_reload_conf()")
    append = an_append(to("Order-2", expected=NO_STREAM))
    async with open_postgres(cluster.url()) as store, foreign(cluster) as other:
        for number in (1, 2):  # it writes alone, and so in one round trip
            await store.append(an_append(to(f"Alone-{number}")))
        await other.fetch(CALL, False, 1000, *lists([append]))
        again = append if expected is ANY else an_append(to("Order-2", expected=NO_STREAM))

        [answer] = await asyncio.gather(store.append(again), return_exceptions=True)
        cluster.crash()
        cluster.start()

        assert isinstance(answer, Outcome if expected is ANY else WrongVersion)
        assert [each.stream for each in await store.read_stream("Order-2")] == ["Order-2"]


@pytest.mark.parametrize("how", ["refused", "looked", "loaded"])
async def test_what_a_command_answers_from_what_is_not_durable_makes_it_so(cluster: Cluster, how: str) -> None:
    """It appends nothing that the disk would be waited for with."""
    cluster.psql("ALTER SYSTEM SET wal_writer_delay = '10s'")
    cluster.psql("SELECT pg_reload_conf()")
    async with open_postgres(cluster.url()) as store, foreign(cluster) as other:
        event_store = EventStore(store, Codec(Catalogue(EVENTS)))
        begun = event_store.codec.encode(Begun(limit=0), b"{}")
        append = Append(begun.id, [StreamAppend("Counter-c", "Counter", NO_STREAM, [begun])])
        await other.fetch(CALL, False, 1000, *lists([append]))

        if how == "refused":
            with pytest.raises(LimitReached):
                await bound(event_store).dispatch(Count(counter="c"))
        elif how == "looked":
            assert await bound(event_store).dispatch(Look(counter="c")) == 0
        else:
            assert (await Repository(event_store, Counter).load("c")).version == 1
        cluster.crash()
        cluster.start()

        assert [each.id for each in await everything(store)] == [begun.id]


async def test_who_sleeps_with_the_order_lock_is_named_and_stops_no_reader(cluster: Cluster) -> None:
    async with open_postgres(cluster.url(), Limits(patience_s=1.0)) as store, foreign(cluster) as other:
        first = await store.append(an_append(to("Order-1")))
        sleeping = other.transaction()
        await sleeping.start()
        await other.fetch(CALL, False, 1000, *lists([an_append(to("Order-2"))]))

        with pytest.raises(
            Unavailable, match=rf"process {await other.fetchval('SELECT pg_backend_pid()')} of the server"
        ):
            await store.append(an_append(to("Order-3")))
        assert await store.head() == first.position

        await sleeping.commit()
        await store.append(an_append(to("Order-4")))
        assert [each.stream for each in await everything(store)] == ["Order-1", "Order-2", "Order-4"]


async def test_a_call_in_a_stricter_isolation_is_refused(cluster: Cluster) -> None:
    async with open_postgres(cluster.url()), foreign(cluster) as other:
        for isolation in ("repeatable_read", "serializable"):
            with pytest.raises(asyncpg.ActiveSQLTransactionError, match="READ COMMITTED only"):
                async with other.transaction(isolation=isolation):
                    await other.fetch(CALL, False, 1000, *lists([an_append(to("Order-1"))]))


@pytest.mark.parametrize("stream", ["Order-\0", "Order-\ud800"], ids=["the server", "the driver"])
async def test_one_poisonous_append_among_200_fails_alone(cluster: Cluster, stream: str) -> None:
    """Refused by the one or by the other, it is refused at once, and the others are not."""
    async with open_postgres(cluster.url()) as store:
        appends = [an_append(to(f"Order-{number}")) for number in range(200)]
        poison = an_append(to(stream))

        *answers, refused = await asyncio.gather(
            *[store.append(append) for append in (*appends, poison)], return_exceptions=True
        )

        assert isinstance(refused, Misuse)
        assert [answer for answer in answers if isinstance(answer, BaseException)] == []
        assert len(await everything(store)) == 200


async def test_an_error_nobody_foresaw_answers_its_callers_and_stops_nobody(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(*_: object) -> None:
        raise RuntimeError("nobody foresaw this")

    async with open_postgres(cluster.url()) as store:
        with monkeypatch.context() as broken:
            broken.setattr(Writer, "_send_by", fails)
            for number in range(3):  # more than there are connections
                with pytest.raises(OutcomeUnknown) as unknown:
                    await store.append(an_append(to(f"Order-{number}")))
                assert isinstance(unknown.value.__cause__, RuntimeError)

        await store.append(an_append(to("Order-9")))


async def test_appends_cancelled_at_random_moments_are_whole_or_absent(cluster: Cluster) -> None:
    async with open_postgres(cluster.url()) as store:
        streams = [f"S-{number}" for number in range(500)]
        calls = [(stream, store.append(an_append(to(stream, event(), event())))) for stream in streams]
        answered = await cancelled_at_random(calls, Random(7))
        lengths = {stream: len(await store.read_stream(stream)) for stream in streams}

    assert answered
    assert len(answered) < 500
    assert set(lengths.values()) <= {0, 2}
    assert {lengths[stream] for stream in answered} == {2}


async def test_a_server_that_is_away_is_said_to_be_and_comes_back(cluster: Cluster) -> None:
    async with open_postgres(cluster.url(), Limits(patience_s=1.0)) as store:
        await store.append(an_append(to("Order-1")))
        cluster.stop()

        async with asyncio.timeout(30):
            for call in (
                store.append(an_append(to("Order-2"))),
                store.read(0, limit=1),
                store.head(),
                store.command("c"),
            ):
                with pytest.raises(Unavailable):
                    await call

        cluster.start()
        assert len(await everything(store)) == 1
        await store.append(an_append(to("Order-3")))


async def test_a_role_that_may_only_look_and_add_is_enough(cluster: Cluster) -> None:
    async with open_postgres(cluster.url()) as owner:
        await owner.append(an_append(to("Order-1")))
    cluster.psql(
        "CREATE ROLE application LOGIN; GRANT SELECT, INSERT ON diptych_event, diptych_command TO application; "
        "GRANT SELECT ON diptych_log TO application"
    )

    async with open_postgres(cluster.url(user="application")) as store, foreign(cluster) as superuser:
        await store.append(an_append(to("Order-1", event(), expected=1)))

        assert len(await everything(store)) == 2
        for statement in ("UPDATE diptych_event SET type = 'x'", "DELETE FROM diptych_event", "TRUNCATE diptych_event"):
            with pytest.raises(asyncpg.RestrictViolationError, match="an event never changes"):
                await superuser.execute(statement)
