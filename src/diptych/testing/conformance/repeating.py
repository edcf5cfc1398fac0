"""The same append again gets the first outcome again, and changes nothing (P5)."""

import asyncio

import pytest
from msgspec.structs import replace

from diptych.errors import CommandIdReused, WrongVersion
from diptych.store.port import EXISTS, NO_STREAM, Append, CommandRecord, Store, StreamEnd
from diptych.testing.conformance.case import StoreCase, a_command, an_append, event, everything, to


class Repeating(StoreCase):
    """Appends that are known by the ids of their events."""

    async def test_a_repeat_gets_the_first_outcome_and_changes_nothing(self, store: Store) -> None:
        append = an_append(to("Order-1", event(), event()))
        first = await store.append(append)

        again = await store.append(append)

        assert again == replace(first, repeated=True)
        assert len(await everything(store)) == 2

    async def test_a_repeat_is_known_before_its_version_is_checked(self, store: Store) -> None:
        append = an_append(to("Order-1", expected=NO_STREAM))
        first = await store.append(append)

        assert (await store.append(append)).ends == first.ends

    async def test_a_repeat_tells_where_its_own_events_lie_however_far_the_stream_went_on(self, store: Store) -> None:
        append = an_append(to("Order-1", expected=NO_STREAM))
        first = await store.append(append)
        await store.append(an_append(to("Order-1", event(), event())))

        again = await store.append(append)

        assert (again.ends, again.position) == (first.ends, first.position)

    async def test_a_repeat_over_several_streams_gets_every_end(self, store: Store) -> None:
        append = an_append(to("Order-2", event(), event()), to("Order-1"), to("Customer-1", event(), event()))
        first = await store.append(append)
        await store.append(an_append(to("Order-1"), to("Order-2")))

        assert await store.append(append) == replace(first, repeated=True)

    async def test_half_of_an_append_is_not_that_append(self, store: Store) -> None:
        first, second = event(), event()
        await store.append(an_append(to("Order-1", first)))

        with pytest.raises(CommandIdReused):
            await store.append(an_append(to("Order-1", first, second)))
        with pytest.raises(CommandIdReused):
            await store.append(an_append(to("Order-1", second, first)))

        assert len(await everything(store)) == 1

    async def test_an_event_is_in_one_stream_only(self, store: Store) -> None:
        known = event()
        await store.append(an_append(to("Order-1", known)))

        with pytest.raises(CommandIdReused):
            await store.append(an_append(to("Order-2", known)))

    async def test_repeats_at_the_same_moment_append_once(self, store: Store) -> None:
        append = an_append(to("Order-1", event(), event(), expected=NO_STREAM))

        outcomes = await asyncio.gather(*[store.append(append) for _ in range(8)])

        assert len({(outcome.ends, outcome.position) for outcome in outcomes}) == 1
        assert [outcome.repeated for outcome in outcomes].count(False) == 1
        assert len(await everything(store)) == 2


class Commands(StoreCase):
    """Appends that are known by the id of a command."""

    async def test_a_command_nobody_sent_is_unknown(self, store: Store) -> None:
        assert await store.command("command-1") is None

    async def test_an_outcome_carries_the_command_with_the_end_of_its_first_stream(self, store: Store) -> None:
        outcome = await store.append(an_append(to("Order-1", event(), event()), to("Order-2"), command=a_command()))

        assert outcome.command == a_command(stream="Order-1", version=2)
        assert not outcome.repeated

    async def test_a_command_is_found_by_its_id_with_its_first_stream(self, store: Store) -> None:
        first = await store.append(an_append(to("Order-1"), to("Order-2"), command=a_command()))
        await store.append(an_append(to("Order-1")))

        found = await store.command("command-1")

        assert found == replace(first, ends=first.ends[:1], repeated=True)

    async def test_a_repeat_gets_the_first_result_and_changes_nothing(self, store: Store) -> None:
        first = await store.append(an_append(to("Order-1"), command=a_command(result=b'"first"')))

        again = await store.append(an_append(to("Order-2"), command=a_command(result=b'"second"')))

        assert again == replace(first, repeated=True)
        assert [event.stream for event in await everything(store)] == ["Order-1"]

    async def test_a_repeat_is_known_before_its_version_is_checked(self, store: Store) -> None:
        first = await store.append(an_append(to("Order-1", expected=NO_STREAM), command=a_command()))

        again = await store.append(an_append(to("Order-1", expected=NO_STREAM), command=a_command()))

        assert again.ends == first.ends

    async def test_another_body_is_refused(self, store: Store) -> None:
        await store.append(an_append(to("Order-1"), command=a_command(digest=b"one")))

        with pytest.raises(CommandIdReused) as refused:
            await store.append(an_append(to("Order-1"), command=a_command(digest=b"other")))

        assert refused.value.command_id == "command-1"
        assert len(await everything(store)) == 1

    @pytest.mark.parametrize(("first", "again"), [(None, b"body"), (b"body", None), (None, None)])
    async def test_without_a_digest_any_body_will_do(
        self, store: Store, first: bytes | None, again: bytes | None
    ) -> None:
        await store.append(an_append(to("Order-1"), command=a_command(digest=first)))

        outcome = await store.append(an_append(to("Order-1"), command=a_command(digest=again)))

        assert outcome.repeated
        assert outcome.command == a_command(digest=first, stream="Order-1", version=1)

    async def test_a_command_that_appends_nothing_is_stored_with_the_head(self, store: Store) -> None:
        head = (await store.append(an_append(to("Order-1")))).position

        outcome = await store.append(Append("command-1", (), a_command()))

        assert (outcome.ends, outcome.position, outcome.command) == ((), head, a_command())
        assert await store.command("command-1") == replace(outcome, repeated=True)
        assert await store.head() == head

    async def test_a_command_that_appends_nothing_names_the_version_it_loaded(self, store: Store) -> None:
        loaded = await store.append(an_append(to("Order-1", event(), event())))
        other = await store.append(an_append(to("Order-2")))

        outcome = await store.append(Append("command-1", (), a_command(stream="Order-1", version=2)))

        assert outcome.ends == (StreamEnd("Order-1", 2, loaded.position),)
        assert outcome.position == other.position
        assert await store.command("command-1") == replace(outcome, repeated=True)

    async def test_a_command_may_name_a_stream_that_is_not_there(self, store: Store) -> None:
        outcome = await store.append(Append("command-1", (), a_command(stream="Order-1")))

        assert outcome.ends == (StreamEnd("Order-1", 0, 0),)
        assert await store.command("command-1") == replace(outcome, repeated=True)

    async def test_a_refused_command_is_not_stored(self, store: Store) -> None:
        with pytest.raises(WrongVersion):
            await store.append(an_append(to("Order-1", expected=EXISTS), command=a_command()))

        assert await store.command("command-1") is None
        await store.append(an_append(to("Order-1"), command=a_command(digest=b"another")))

    async def test_events_of_one_command_are_not_those_of_another(self, store: Store) -> None:
        known = event()
        await store.append(an_append(to("Order-1", known), command=a_command("command-1")))

        with pytest.raises(CommandIdReused):
            await store.append(an_append(to("Order-1", known), command=a_command("command-2")))

        assert await store.command("command-2") is None

    async def test_ids_and_results_are_kept_as_they_are(self, store: Store) -> None:
        record = CommandRecord("anonymous/Schlüssel 1", bytes(range(16)), '{"größe":"😀"}'.encode())

        await store.append(Append(record.id, (), record))

        found = await store.command(record.id)
        assert found is not None
        assert found.command == record

    async def test_of_commands_that_are_looked_for_at_once_each_gets_its_own_outcome(self, store: Store) -> None:
        known = {
            id: await store.append(an_append(to(f"Order-{id}"), command=a_command(id, result=b'"of %s"' % id.encode())))
            for id in [f"command-{number}" for number in range(20)]
        }

        asked = [*known, "command-none", "command-7"]
        found = await asyncio.gather(*(store.command(id) for id in asked))

        assert found == [replace(known[id], repeated=True) if id in known else None for id in asked]

    async def test_repeats_at_the_same_moment_are_done_once(self, store: Store) -> None:
        appends = [an_append(to("Order-1"), command=a_command(result=b"%d" % number)) for number in range(8)]

        outcomes = await asyncio.gather(*[store.append(append) for append in appends])

        assert len({outcome.command for outcome in outcomes}) == 1
        assert len(await everything(store)) == 1
