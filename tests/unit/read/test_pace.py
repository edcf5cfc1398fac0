"""A batch holds as many events as are applied in good time and fit into memory."""

from random import Random

import pytest

from diptych.read.books.checkpoint import SILENCE_S
from diptych.read.follow import pace as paces
from diptych.read.follow.pace import BATCH_BYTES, BATCH_EVENTS, FIRST_EVENTS, Pace
from diptych.store.port import Page, StoredEvent


def page(events: int, size: int, metadata: int = 0) -> Page:
    """So many events of so many bytes each."""
    event = StoredEvent(1, "s", "S", 1, "Grown", 1, "id", b" " * size, b" " * metadata, 0)
    return Page([event] * events, events)


def apply(pace: Pace, size: int, batches: int) -> list[int]:
    """The limits of so many full batches of events of a size."""
    limits: list[int] = []
    for _ in range(batches):
        limits.append(pace.limit)
        pace.begin()
        pace.applied(page(pace.limit, size))
    return limits


def test_batches_of_usual_events_soon_are_as_long_as_they_may_be() -> None:
    assert apply(Pace(), 300, 7) == [FIRST_EVENTS, 640, 1280, 2560, BATCH_EVENTS, BATCH_EVENTS, BATCH_EVENTS]


@pytest.mark.parametrize("size", [4_000, 50_000, 1_000_000])
def test_batches_of_large_events_fit_into_memory(size: int) -> None:
    first, *later = apply(Pace(), size, 8)

    assert first == FIRST_EVENTS
    assert all(limit * size <= BATCH_BYTES < 5 * limit * size for limit in later[-3:])
    assert len(set(later[-3:])) == 1


def test_batches_of_events_of_uneven_size_stay_as_long_as_they_are() -> None:
    pace, random = Pace(), Random(1)
    limits = [apply(pace, round(random.uniform(2_000, 3_300)), 1)[0] for _ in range(50)]

    assert set(limits[10:]) == {2560}


def test_events_that_grow_make_the_next_batch_shorter() -> None:
    pace = Pace()
    apply(pace, 300, 5)

    assert apply(pace, 20_000, 2) == [BATCH_EVENTS, BATCH_BYTES // 20_000]
    assert apply(pace, 300, 5)[-1] == BATCH_EVENTS


def test_what_an_event_is_told_with_counts_too() -> None:
    pace = Pace()
    pace.applied(page(pace.limit, 100, metadata=100_000))

    assert pace.limit * 100_000 <= BATCH_BYTES


@pytest.mark.parametrize("event_s", [0.0001, 0.0004, 0.0009, 0.0015, 0.01])
def test_no_batch_of_a_steady_pace_lasts_longer_than_a_server_bears(
    event_s: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(paces, "monotonic", lambda: now)
    pace, limits = Pace(), list[int]()
    for _ in range(20):
        limits.append(pace.limit)
        pace.begin()
        now += pace.limit * event_s
        pace.applied(page(pace.limit, 100))

    assert max(limits) * event_s < SILENCE_S
    assert len(set(limits[10:])) == 1


def test_a_few_large_events_at_the_head_make_no_long_batches() -> None:
    pace = Pace()
    for _ in range(10):
        pace.begin()
        pace.applied(page(1, 1_000_000))

    assert pace.limit * 1_000_000 <= BATCH_BYTES


def test_half_of_what_failed_or_took_long_is_tried_next(monkeypatch: pytest.MonkeyPatch) -> None:
    pace = Pace()
    pace.failed(page(7, 100))
    assert pace.limit == 3
    pace.failed(page(1, 100))
    assert pace.limit == 1
    assert apply(pace, 100, 3) == [1, 2, 4]
    pace.begin()
    pace.away(page(8, 100))
    assert pace.limit == 8

    monkeypatch.setattr(paces, "BATCH_S", -1.0)
    pace.away(page(8, 100))
    assert pace.limit == 4
    assert apply(pace, 100, 4) == [4, 2, 1, 1]
