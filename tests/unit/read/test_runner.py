"""How long a runner pauses."""

import pytest

from diptych.read.follow.runner import BACK_OFF_S, back_off_s


@pytest.mark.parametrize("tries", [0, 1, 5, 100, 10_000, 10**9])
def test_a_pause_is_never_longer_than_the_limit(tries: int) -> None:
    assert 0 < back_off_s(tries) <= BACK_OFF_S[1]


def test_pauses_grow_with_the_failures_in_a_row() -> None:
    assert back_off_s(0) <= BACK_OFF_S[0] < back_off_s(3) < back_off_s(6)
