"""A batch holds as many events as are applied in good time and fit into memory."""

import pytest

from diptych.read.follow import pace as paces
from diptych.read.follow.pace import BATCH_BYTES, BATCH_EVENTS, FIRST_EVENTS, Pace
from diptych.store.port import Page, StoredEvent


def page(events: int, size: int) -> Page:
    """So many events of so many bytes each."""
    event = StoredEvent(1, "s", "S", 1, "Grown", 1, "id", b" " * size, b"{}", 0)
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
    assert apply(Pace(), 300, 6) == [FIRST_EVENTS, 320, 1280, BATCH_EVENTS, BATCH_EVENTS, BATCH_EVENTS]


@pytest.mark.parametrize("size", [4_000, 50_000, 1_000_000])
def test_batches_of_large_events_fit_into_memory(size: int) -> None:
    first, *later = apply(Pace(), size, 8)

    assert first == FIRST_EVENTS
    assert later[-1] == later[-2]
    assert later[-1] * size <= BATCH_BYTES < paces.TIMES * later[-1] * size


def test_events_that_grow_make_the_batches_shorter() -> None:
    pace = Pace()
    apply(pace, 300, 4)

    apply(pace, 20_000, 8)

    assert pace.limit * 20_000 <= BATCH_BYTES
    apply(pace, 300, 4)
    assert pace.limit == BATCH_EVENTS


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
    assert apply(pace, 100, 3) == [1, 4, 16]
    pace.begin()
    pace.away(page(8, 100))
    assert pace.limit == 64

    monkeypatch.setattr(paces, "BATCH_S", -1.0)
    pace.away(page(8, 100))
    assert pace.limit == 4
    assert apply(pace, 100, 4) == [4, 2, 1, 1]
