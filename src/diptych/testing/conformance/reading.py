"""What readers see, and how far a page reaches."""

import asyncio
from collections.abc import Collection, Sequence

import pytest

from diptych.store.port import Page, Store, StoredEvent
from diptych.testing.conformance.case import StoreCase, an_append, event, everything, to

SHIPPED_AND_PAID = (
    ["Order-1", "Order-2", "Invoice-1", "Order-1", "Invoice-2"],
    ["Placed", "Placed", "Sent", "Shipped", "Sent"],
)


async def some_events(store: Store) -> Sequence[StoredEvent]:
    """Five events of two categories and three types."""
    for stream, type in zip(*SHIPPED_AND_PAID, strict=True):
        await store.append(an_append(to(stream, event(type))))
    return await everything(store)


class Reading(StoreCase):
    """The whole log, page by page."""

    async def test_an_empty_log_has_nothing_up_to_0(self, store: Store) -> None:
        assert await store.read(0, limit=10) == Page((), 0)
        assert await store.head() == 0

    async def test_everything_comes_in_the_order_of_positions(self, store: Store) -> None:
        await some_events(store)

        page = await store.read(0, limit=10)

        assert [event.stream for event in page.events] == SHIPPED_AND_PAID[0]
        assert [event.position for event in page.events] == sorted(event.position for event in page.events)

    async def test_a_page_begins_after_the_position_asked_for(self, store: Store) -> None:
        events = await some_events(store)

        page = await store.read(events[1].position, limit=10)

        assert page.events == tuple(events[2:])

    async def test_a_page_holds_at_most_the_limit_and_reaches_its_last_event(self, store: Store) -> None:
        events = await some_events(store)

        page = await store.read(0, limit=2)

        assert page == Page(tuple(events[:2]), events[1].position)

    async def test_a_page_that_is_not_full_reaches_the_head(self, store: Store) -> None:
        events = await some_events(store)

        page = await store.read(0, limit=10)

        assert page.through == events[-1].position == await store.head()

    async def test_a_page_never_reaches_back(self, store: Store) -> None:
        await some_events(store)

        assert await store.read(1_000_000, limit=10) == Page((), 1_000_000)

    async def test_names_of_any_characters_come_back(self, store: Store) -> None:
        names = ["a\x1fb", "\x1f", "\x1e\x1f", "a\nb\tc", 'a"b\\c', "\N{SNOWMAN},", "\U000f0000\ue000"]
        for name in names:
            await store.append(an_append(to(f"{name}-1", event(name, id=f"id {name}"), category=name)))

        page = await store.read(0, limit=10)

        assert [(each.stream, each.category, each.type, each.id) for each in page.events] == [
            (f"{name}-1", name, name, f"id {name}") for name in names
        ]
        assert await everything(store, page_size=2) == list(page.events)

    @pytest.mark.parametrize("size", [1, 2, 3, 5, 7])
    async def test_pages_of_any_size_make_up_the_log(self, store: Store, size: int) -> None:
        events = await some_events(store)

        assert await everything(store, page_size=size) == events


class Filtering(StoreCase):
    """Events of some categories and types."""

    @pytest.mark.parametrize(
        ("categories", "types", "expected"),
        [
            (["Order"], [], [0, 1, 3]),
            (["Invoice"], [], [2, 4]),
            (["Order", "Invoice"], [], [0, 1, 2, 3, 4]),
            ([], ["Placed"], [0, 1]),
            ([], ["Shipped", "Sent"], [2, 3, 4]),
            (["Order"], ["Shipped", "Sent"], [3]),
            (["Order", "Invoice"], ["Sent", "Placed"], [0, 1, 2, 4]),
            (["Nothing"], [], []),
            ([], ["Nothing", "Shipped"], [3]),
            (["Invoice"], ["Placed"], []),
            ([], ["Placed"] * 3, [0, 1]),
        ],
    )
    async def test_a_filter_takes_what_it_names_in_the_order_of_the_log(
        self, store: Store, categories: list[str], types: list[str], expected: list[int]
    ) -> None:
        events = await some_events(store)

        page = await store.read(0, limit=10, categories=categories, types=types)

        assert page == Page(tuple(events[index] for index in expected), events[-1].position)

    async def test_a_full_filtered_page_reaches_its_last_event(self, store: Store) -> None:
        events = await some_events(store)

        page = await store.read(0, limit=1, types=["Sent"])

        assert page == Page((events[2],), events[2].position)

    async def test_a_filtered_page_begins_after_the_position_asked_for(self, store: Store) -> None:
        events = await some_events(store)

        page = await store.read(events[2].position, limit=10, types={"Sent"}, categories={"Invoice"})

        assert page == Page((events[4],), events[4].position)

    @pytest.mark.parametrize("number", [31, 32, 33, 400])
    async def test_any_number_of_types_and_categories_may_be_named(self, store: Store, number: int) -> None:
        events = await some_events(store)
        unknown = [f"Unknown{index}" for index in range(number - 1)]

        by_type = await store.read(0, limit=10, types=[*unknown, "Sent"])
        by_category = await store.read(0, limit=10, categories=[*unknown, "Invoice"])
        by_both = await store.read(0, limit=10, types=["Sent", *unknown], categories=["Invoice", *unknown])

        assert by_type == by_category == by_both == Page((events[2], events[4]), events[4].position)

    @pytest.mark.parametrize("wanted", [["A"], ["A", "B"], ["C", "A", "Rare"], ["Rare"]])
    async def test_filtered_pages_make_up_what_the_filter_takes(self, store: Store, wanted: Collection[str]) -> None:
        types = ["A", "B", "A", "C"] * 10 + ["Rare"] + ["B", "A"] * 10
        await store.append(an_append(to("Thing-1", *[event(type) for type in types])))
        events: list[StoredEvent] = []
        after = 0

        while after < await store.head():
            page = await store.read(after, limit=3, types=wanted)
            events += page.events
            after = page.through

        assert events == [event for event in await everything(store) if event.type in wanted]


class Streams(StoreCase):
    """One stream, one event, one place."""

    async def test_a_stream_is_read_in_the_order_of_versions(self, store: Store) -> None:
        events = await some_events(store)

        assert list(await store.read_stream("Order-1")) == [events[0], events[3]]

    async def test_a_stream_nobody_wrote_to_is_empty(self, store: Store) -> None:
        assert not await store.read_stream("Order-1")

    @pytest.mark.parametrize(
        ("after", "limit", "versions"), [(0, 2, [1, 2]), (1, None, [2, 3, 4]), (2, 1, [3]), (4, None, [])]
    )
    async def test_a_stream_is_read_after_a_version_and_up_to_a_limit(
        self, store: Store, after: int, limit: int | None, versions: list[int]
    ) -> None:
        await store.append(an_append(to("Order-1", event(), event(), event(), event())))

        events = await store.read_stream("Order-1", after=after, limit=limit)

        assert [event.version for event in events] == versions

    async def test_reads_that_need_not_be_durable_see_the_same(self, store: Store) -> None:
        events = await some_events(store)

        assert (await store.read(0, limit=10, durable=False)).events == tuple(events)
        assert list(await store.read_stream("Order-2", durable=False)) == [events[1]]

    @pytest.mark.parametrize("durable", [True, False])
    async def test_of_streams_that_are_read_at_once_each_comes_whole(self, store: Store, *, durable: bool) -> None:
        lengths = {f"Order-{length}": length for length in (*range(1, 20), 63, 64, 65, 130)}
        for stream, length in lengths.items():
            await store.append(an_append(to(stream, *(event() for _ in range(length)))))

        asked = [*lengths, "Order-none", "Order-7"]
        streams = await asyncio.gather(*(store.read_stream(stream, durable=durable) for stream in asked))

        assert [[(each.stream, each.version) for each in events] for events in streams] == [
            [(stream, version) for version in range(1, lengths.get(stream, 0) + 1)] for stream in asked
        ]

    async def test_of_reads_at_once_those_that_are_given_up_cost_the_others_nothing(self, store: Store) -> None:
        events = await some_events(store)

        reads = [asyncio.ensure_future(store.read_stream("Order-2", durable=False)) for _ in range(20)]
        await asyncio.sleep(0)
        for given_up in reads[::2]:
            given_up.cancel()

        assert [list(await read) for read in reads[1::2]] == [[events[1]]] * 10

    async def test_each_event_is_found_at_its_position(self, store: Store) -> None:
        events = await some_events(store)

        assert [await store.event_at(event.position) for event in events] == list(events)

    async def test_there_is_nothing_in_a_hole_before_the_log_or_beyond_it(self, store: Store) -> None:
        events = await some_events(store)
        taken = {event.position for event in events}
        free = [position for position in range(-1, events[-1].position + 3) if position not in taken]

        assert {await store.event_at(position) for position in free} == {None}

    async def test_each_version_has_its_position(self, store: Store) -> None:
        events = await some_events(store)

        assert [await store.position_of(event.stream, event.version) for event in events] == [
            event.position for event in events
        ]

    @pytest.mark.parametrize(("stream", "version"), [("Order-1", 0), ("Order-1", 3), ("Order-9", 1), ("Order-1", -1)])
    async def test_a_version_that_is_not_there_has_no_position(self, store: Store, stream: str, version: int) -> None:
        await some_events(store)

        assert await store.position_of(stream, version) is None
