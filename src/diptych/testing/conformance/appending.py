"""What an append puts into the log, and when it is refused."""

import time
from operator import attrgetter

import pytest

from diptych.errors import Misuse, NotStorable, WrongCategory, WrongVersion
from diptych.store.port import ANY, EXISTS, NO_STREAM, Append, Expected, NewEvent, Store, StreamAppend, StreamEnd
from diptych.testing.conformance.case import StoreCase, an_append, event, everything, to


class Appending(StoreCase):
    """Versions, positions and what is stored."""

    async def test_the_first_event_of_a_stream_has_version_1(self, store: Store) -> None:
        outcome = await store.append(an_append(to("Order-1")))

        assert [end.version for end in outcome.ends] == [1]

    async def test_an_outcome_names_the_end_of_the_stream_and_the_position_of_its_last_event(
        self, store: Store
    ) -> None:
        outcome = await store.append(an_append(to("Order-1", event(), event(), event())))

        last = (await everything(store))[-1]
        assert outcome.ends == (StreamEnd("Order-1", 3, last.position),)
        assert (outcome.position, outcome.command, outcome.repeated) == (last.position, None, False)

    async def test_versions_go_on_where_the_last_append_ended(self, store: Store) -> None:
        await store.append(an_append(to("Order-1", event(), event())))
        await store.append(an_append(to("Order-1", event(), event())))

        assert [event.version for event in await store.read_stream("Order-1")] == [1, 2, 3, 4]

    async def test_each_stream_counts_for_itself(self, store: Store) -> None:
        for stream in ("Order-1", "Order-2", "Order-1"):
            await store.append(an_append(to(stream)))

        assert [event.version for event in await everything(store)] == [1, 1, 2]

    async def test_positions_rise_from_one_append_to_the_next_and_start_above_0(self, store: Store) -> None:
        for number in range(20):
            await store.append(an_append(to(f"Order-{number % 3}", event(), event())))

        positions = [event.position for event in await everything(store)]
        assert positions == sorted(set(positions))
        assert positions[0] >= 1

    async def test_what_went_in_comes_out_unchanged(self, store: Store) -> None:
        went_in = NewEvent("event-ü", "Größe geändert", 7, '{ "größe" : "😀", "n": 1.50 }'.encode(), b'{"actor":"me"}')

        await store.append(Append(went_in.id, [StreamAppend("Stück-1", "Stück", ANY, [went_in])]))

        [came_out] = await everything(store)
        assert (came_out.stream, came_out.category, came_out.version) == ("Stück-1", "Stück", 1)
        fields = attrgetter("id", "type", "schema_version", "payload", "metadata")
        assert fields(came_out) == fields(went_in)

    async def test_a_payload_of_a_mebibyte_comes_out_unchanged(self, store: Store) -> None:
        payload = b'{"text":"' + b"x" * 1024 * 1024 + b'"}'

        await store.append(an_append(to("Order-1", event(payload=payload))))

        assert [event.payload for event in await store.read_stream("Order-1")] == [payload]

    async def test_a_thousand_events_go_into_one_append(self, store: Store) -> None:
        outcome = await store.append(an_append(to("Order-1", *[event() for _ in range(1000)])))

        assert outcome.ends[0].version == 1000
        assert len(await everything(store)) == 1000

    async def test_events_are_recorded_now_in_microseconds(self, store: Store) -> None:
        before = time.time_ns() // 1000

        await store.append(an_append(to("Order-1")))

        [stored] = await everything(store)
        assert abs(stored.recorded_at - before) < 60_000_000

    async def test_the_time_of_recording_never_goes_back(self, store: Store) -> None:
        for number in range(30):
            await store.append(an_append(to(f"Order-{number}")))

        times = [event.recorded_at for event in await everything(store)]
        assert times == sorted(times)


class Expecting(StoreCase):
    """The version that an append expects."""

    @pytest.mark.parametrize("expected", [ANY, NO_STREAM, 0])
    async def test_a_new_stream_is(self, store: Store, expected: Expected) -> None:
        outcome = await store.append(an_append(to("Order-1", expected=expected)))

        assert outcome.ends[0].version == 1

    @pytest.mark.parametrize("expected", [ANY, EXISTS, 2])
    async def test_a_stream_at_version_2_is(self, store: Store, expected: Expected) -> None:
        await store.append(an_append(to("Order-1", event(), event())))

        outcome = await store.append(an_append(to("Order-1", expected=expected)))

        assert outcome.ends[0].version == 3

    @pytest.mark.parametrize(("expected", "named"), [(EXISTS, "exists"), (1, 1)])
    async def test_a_new_stream_is_not(self, store: Store, expected: Expected, named: int | str) -> None:
        with pytest.raises(WrongVersion) as refused:
            await store.append(an_append(to("Order-1", expected=expected)))

        facts = refused.value
        assert (facts.stream, facts.expected, facts.actual) == ("Order-1", named, 0)

    @pytest.mark.parametrize(("expected", "named"), [(NO_STREAM, "no stream"), (0, 0), (1, 1), (3, 3)])
    async def test_a_stream_at_version_2_is_not(self, store: Store, expected: Expected, named: int | str) -> None:
        await store.append(an_append(to("Order-1", event(), event())))

        with pytest.raises(WrongVersion) as refused:
            await store.append(an_append(to("Order-1", expected=expected)))

        facts = refused.value
        assert (facts.stream, facts.expected, facts.actual) == ("Order-1", named, 2)

    async def test_a_refused_append_leaves_nothing_behind(self, store: Store) -> None:
        await store.append(an_append(to("Order-1")))
        head = await store.head()

        with pytest.raises(WrongVersion):
            await store.append(an_append(to("Order-1", expected=NO_STREAM)))

        assert await store.head() == head
        assert len(await everything(store)) == 1

    async def test_a_refused_append_may_be_sent_again_once_it_fits(self, store: Store) -> None:
        early = an_append(to("Order-1", expected=1))
        with pytest.raises(WrongVersion):
            await store.append(early)
        await store.append(an_append(to("Order-1")))

        outcome = await store.append(early)

        assert (outcome.ends[0].version, outcome.repeated) == (2, False)

    async def test_a_stream_keeps_its_category(self, store: Store) -> None:
        await store.append(an_append(to("Order-1")))

        with pytest.raises(WrongCategory) as refused:
            await store.append(an_append(to("Order-1", category="Invoice")))

        assert (refused.value.given, refused.value.actual) == ("Invoice", "Order")
        assert len(await everything(store)) == 1


class SeveralStreams(StoreCase):
    """One append over several streams."""

    async def test_every_stream_gets_its_events_in_the_order_given(self, store: Store) -> None:
        await store.append(an_append(to("Order-2")))

        outcome = await store.append(an_append(to("Order-2", event(), event()), to("Order-1"), to("Customer-1")))

        assert [(end.stream, end.version) for end in outcome.ends] == [
            ("Order-2", 3),
            ("Order-1", 1),
            ("Customer-1", 1),
        ]
        stored = await everything(store)
        assert [event.stream for event in stored[1:]] == ["Order-2", "Order-2", "Order-1", "Customer-1"]
        assert outcome.position == outcome.ends[-1].position == stored[-1].position

    async def test_one_stream_refused_refuses_them_all(self, store: Store) -> None:
        await store.append(an_append(to("Order-2")))

        with pytest.raises(WrongVersion):
            await store.append(an_append(to("Order-1"), to("Order-2", expected=NO_STREAM), to("Order-3")))

        assert [event.stream for event in await everything(store)] == ["Order-2"]

    async def test_a_stream_stands_in_an_append_once(self, store: Store) -> None:
        with pytest.raises(Misuse, match="twice"):
            await store.append(an_append(to("Order-1"), to("Order-1")))

    async def test_a_stream_without_events_is_left_out(self, store: Store) -> None:
        with pytest.raises(Misuse, match="without events"):
            await store.append(Append("1", [StreamAppend("Order-1", "Order", ANY, [])]))

    async def test_a_name_is_no_longer_than_every_index_takes(self, store: Store) -> None:
        longest = "".join(chr(0x10000 + number * 997) for number in range(500))
        await store.append(Append(longest, [StreamAppend(longest, longest, ANY, [event(id=longest)])]))

        for refused in (
            an_append(to(f"{longest}s")),
            Append("1", [StreamAppend("Order-1", f"{longest}s", ANY, [event(id="1")])]),
            Append(f"{longest}s", [to("Order-1", event(id=f"{longest}s"))]),
        ):
            with pytest.raises(NotStorable, match="2,001 bytes"):
                await store.append(refused)
        assert [event.stream for event in await everything(store)] == [longest]

    async def test_an_append_holds_something(self, store: Store) -> None:
        with pytest.raises(Misuse, match="holds nothing"):
            await store.append(Append("1", []))

    async def test_an_append_without_a_command_carries_the_id_of_its_first_event(self, store: Store) -> None:
        with pytest.raises(Misuse, match="must carry the id"):
            await store.append(Append("1", [to("Order-1", event(id="2"))]))

        assert await store.head() == 0
