"""The log is read once for all that stand near each other, and nobody misses or waits for anything by it."""

import asyncio
import gc
from collections.abc import AsyncIterator, Collection
from random import Random

import pytest

from diptych import EventStore, open_store
from diptych.read.follow import feed as feeds
from diptych.read.follow import pace as paces
from diptych.read.follow.feed import Feed
from diptych.store.port import Page

from .colours import COLOURS, Blue, Counted, Green, Red, append, fill, follow, positions, wanted


@pytest.fixture
async def event_store() -> AsyncIterator[EventStore]:
    async with open_store("memory://", COLOURS) as event_store:
        yield event_store


async def test_several_readers_read_and_decode_the_log_once(event_store: EventStore, counted: Counted) -> None:
    await fill(event_store, 300)
    feed = Feed(event_store)
    readers = [feed.reader(["Red", "Green"]), feed.reader(["Green", "Blue"]), feed.reader(["Red", "Green", "Blue"])]

    got = await asyncio.gather(*(follow(reader, 20) for reader in readers))

    assert counted.read == await positions(event_store)
    assert sorted(counted.decoded) == counted.read
    assert got[0] == await wanted(event_store, "Red", "Green")
    assert got[1] == await wanted(event_store, "Green", "Blue")
    assert got[2] == await wanted(event_store, "Red", "Green", "Blue")


async def test_events_that_come_later_are_read_once_too(event_store: EventStore, counted: Counted) -> None:
    feed = Feed(event_store)
    readers = [feed.reader(["Red", "Green"]), feed.reader(["Red", "Blue"])]
    for number in range(5):
        await append(event_store, Red(number=number))
        await asyncio.gather(*(follow(reader, 20) for reader in readers))

    assert counted.decoded == counted.read
    assert counted.read == await positions(event_store)


async def test_who_took_a_part_of_a_page_is_not_at_the_head_yet(event_store: EventStore) -> None:
    await fill(event_store, 30)
    feed = Feed(event_store)
    many, few = feed.reader(["Red", "Green"]), feed.reader(["Green", "Blue"])
    await many.page(0, 1_000)

    first = await few.page(0, 10)
    assert (len(first.events), few.is_at_head) == (10, False)

    await few.page(first.through, 1_000)
    assert few.is_at_head


@pytest.mark.parametrize("types", [["Red", "Green"], ["Green", "Blue"]])
async def test_of_a_page_that_is_cut_only_what_is_left_is_given(event_store: EventStore, types: list[str]) -> None:
    await fill(event_store, 30)
    feed = Feed(event_store)
    reader, other = feed.reader(types), feed.reader(["Red", "Green"])
    await other.page(0, 20)

    cut = [each for each in (await reader.page(0, 20)).events if each.position <= 10]

    assert [each.global_position for each in reader.decode(cut)] == [each.position for each in cut]


@pytest.mark.parametrize("seed", range(15))
async def test_nobody_misses_anything_whatever_the_others_do(
    event_store: EventStore, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr(feeds, "STANDS_STILL_S", 0.05)
    random = Random(seed)
    await fill(event_store, 150)
    feed = Feed(event_store)
    chosen = [random.sample(["Red", "Green", "Blue"], random.randint(1, 3)) for _ in range(4)]

    async def dawdle() -> None:
        for _ in range(random.choice([0, 0, 1, 5, 20])):
            await asyncio.sleep(0)
        if random.random() < 0.1:
            await append(event_store, random.choice(COLOURS)(number=1))  # type: ignore[call-arg]

    readers = [feed.reader(types) for types in chosen]
    for reader in readers:
        reader.after = random.choice([0, 0, 0, 17, 60])
    begun = [reader.after for reader in readers]
    got = await asyncio.gather(*(follow(reader, random.randint(1, 30), pause=dawdle) for reader in readers))
    rest = [await follow(reader, 1000) for reader in readers]

    for start, types, first, last in zip(begun, chosen, got, rest, strict=True):
        assert [*first, *last] == [each for each in await wanted(event_store, *types) if each[0] > start]


async def test_who_is_ahead_waits_for_those_behind_so_that_little_is_kept(
    event_store: EventStore, counted: Counted
) -> None:
    await fill(event_store, 400)
    feed = Feed(event_store)
    fast, slow = feed.reader(["Red", "Green"]), feed.reader(["Green", "Blue"])

    async def slowly() -> None:
        assert len(feed._shared) <= feeds.PAGES
        for _ in range(50):
            await asyncio.sleep(0)

    await asyncio.gather(follow(fast, 10), follow(slow, 10, pause=slowly))

    assert counted.read == await positions(event_store)


async def test_nobody_waits_for_one_that_stands_still(
    event_store: EventStore, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "STANDS_STILL_S", 0.1)
    await fill(event_store, 300)
    feed = Feed(event_store)
    still, moving = feed.reader(["Red", "Green"]), feed.reader(["Green", "Blue"])
    await still.page(0, 10)

    got = await asyncio.wait_for(follow(moving, 10), 10)

    assert got == await wanted(event_store, "Green", "Blue")
    assert not feed._shared
    assert await follow(still, 10) == await wanted(event_store, "Red", "Green")


async def test_who_wants_little_finds_it_without_reading_what_the_others_want(
    event_store: EventStore, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    await append(event_store, *(Blue(number=n) if n % 50 == 0 else Red(number=n) for n in range(2_000)))
    feed = Feed(event_store)
    monkeypatch.setattr(feeds, "ENOUGH", 100)  # more than a page
    many, few = feed.reader(["Red"]), feed.reader(["Blue"])
    pages = 0

    async def turn() -> None:
        nonlocal pages
        pages += 1

    rare, _ = await asyncio.gather(follow(few, 50, pause=turn), follow(many, 50))

    assert rare == await wanted(event_store, "Blue")
    assert pages <= 5
    assert few.reads_alone is False  # at the head it goes along again


async def test_who_is_far_behind_reads_on_its_own(
    event_store: EventStore, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feeds, "NEAR", 50)
    await fill(event_store, 300)
    feed = Feed(event_store)
    ahead, behind = feed.reader(["Red"]), feed.reader(["Green"])
    ahead.after = 200
    behind.after = 0

    await ahead.page(200, 10)

    assert counted.read == [event[0] for event in await wanted(event_store, "Red") if event[0] > 200][:10]
    assert not feed._shared


async def test_pages_of_a_server_that_was_lost_are_forgotten(
    event_store: EventStore, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(event_store, 30)
    feed = Feed(event_store)
    first, second, third = (feed.reader(["Red"]) for _ in range(3))
    await first.page(0, 100)
    await second.page(0, 100)
    assert counted.pages == 1

    monkeypatch.setattr(type(event_store.store), "connections", event_store.store.connections + 1)
    await third.page(0, 100)

    assert counted.pages == 2


async def test_a_reader_that_is_gone_keeps_nothing(event_store: EventStore) -> None:
    await fill(event_store, 30)
    feed = Feed(event_store)
    first, second = feed.reader(["Red", "Green"]), feed.reader(["Red", "Blue"])
    await first.page(0, 10)
    del second
    gc.collect()

    await follow(first, 10)

    assert not feed._shared


async def test_what_is_shared_is_read_on_once_while_all_apply_it(event_store: EventStore, counted: Counted) -> None:
    await fill(event_store, 100)
    feed = Feed(event_store)
    ahead, behind = feed.reader(["Red", "Green", "Blue"]), feed.reader(["Red", "Green"])
    page, own = await ahead.page(0, 20), await behind.page(0, 20)
    async with ahead.reading_on(page, 20):
        ahead.decode(page.events)
    for pages in (2, 3, 4):
        assert counted.pages == pages
        page = await ahead.page(page.through, 20)
        async with ahead.reading_on(page, 20), behind.reading_on(own, 20):
            ahead.decode(page.events)
            behind.decode(own.events)
        own = await behind.page(own.through, 20)

    assert counted.read == (await positions(event_store))[:100]
    assert len(counted.decoded) == len(set(counted.decoded))


async def test_a_page_that_comes_while_the_log_is_connected_anew_is_shared_with_nobody(
    event_store: EventStore, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    await fill(event_store, 60)
    feed = Feed(event_store)
    first, second = feed.reader(["Red", "Green", "Blue"]), feed.reader(["Red", "Green"])
    page = event_store.page

    async def page_over_a_new_connection(after: int, *, limit: int, types: Collection[str]) -> Page:
        monkeypatch.setattr(event_store, "page", page)
        monkeypatch.setattr(type(event_store.store), "connections", 7)
        return await page(after, limit=limit, types=types)

    monkeypatch.setattr(event_store, "page", page_over_a_new_connection)
    await first.page(0, 20)
    await second.page(0, 20)
    assert counted.pages == 2


async def test_no_more_pages_are_read_on_than_are_kept(event_store: EventStore, counted: Counted) -> None:
    await fill(event_store, 30 * (feeds.PAGES + 3))
    feed = Feed(event_store)
    ahead, behind = feed.reader(["Red", "Green", "Blue"]), feed.reader(["Red", "Green"])
    page = await ahead.page(0, 30)
    for _ in range(feeds.PAGES - 1):
        page = await ahead.page(page.through, 30)
    async with ahead.reading_on(page, 30):
        assert behind.after == 0
    assert counted.pages == feeds.PAGES


async def test_a_page_is_read_for_who_stands_where_it_begins(event_store: EventStore, counted: Counted) -> None:
    await fill(event_store, 60)
    feed = Feed(event_store)
    ahead, behind = feed.reader(["Blue"]), feed.reader(["Red", "Green"])
    own = await behind.page(0, 20)
    ahead.after = own.through
    async with behind.reading_on(own, 20):
        behind.decode(own.events)
    await ahead.page(own.through, 20)
    await behind.page(own.through, 20)

    assert counted.pages == 2


async def test_who_is_not_far_behind_others_at_the_head_reads_ahead_for_itself(
    event_store: EventStore, counted: Counted
) -> None:
    await fill(event_store, 100)
    feed = Feed(event_store)
    live, behind = feed.reader(["Red", "Green"]), feed.reader(["Red", "Green", "Blue"])
    await live.page((await positions(event_store))[-1], 20)
    page = await behind.page(0, 20)
    read = counted.pages
    async with behind.reading_on(page, 20):
        behind.decode(page.events)

    assert counted.pages == read + 1
    await behind.page(page.through, 20)
    assert counted.pages == read + 1


async def test_few_events_do_not_tell_who_wants_little(event_store: EventStore, counted: Counted) -> None:
    await append(event_store, *(Blue(number=n) for n in range(100)), *(Red(number=n) for n in range(1_900)))
    feed = Feed(event_store)
    readers = [feed.reader(["Red", "Blue"]), feed.reader(["Red", "Green"])]

    await asyncio.gather(*(follow(reader, 80) for reader in readers))

    assert counted.read == await positions(event_store)


async def test_pages_that_are_shared_fit_into_memory(
    event_store: EventStore, counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paces, "BATCH_BYTES", 200)
    await append(event_store, *(Green(number=10**18 + n) for n in range(100)), *(Red(number=n) for n in range(100)))
    feed = Feed(event_store)
    readers = [feed.reader(["Red", "Blue"]), feed.reader(["Red", "Green"])]

    got = await asyncio.gather(*(follow(reader, 50) for reader in readers))

    assert counted.read == await positions(event_store)
    assert got[1] == await wanted(event_store, "Red", "Green")
    assert counted.pages >= 20
