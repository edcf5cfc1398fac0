"""How shares are spread over workers, whatever comes and goes."""

from collections.abc import Mapping
from random import Random

import pytest

from diptych.read.books.checkpoint import Generation, Share
from diptych.read.follow.spread import Standing, to_claim, to_give_up

CODE = [f"p{number} 1" for number in range(20)]


def shares(number: int) -> list[Share]:
    return [Share(Generation(f"p{each}", 1)) for each in range(number)]


def standing(me: str, owners: Mapping[Share, str | None], workers: list[str]) -> Standing:
    return Standing(me, owners, dict.fromkeys(workers, CODE))


def test_a_worker_that_is_alone_claims_all() -> None:
    at = standing("a", dict.fromkeys(shares(5)), ["a"])

    assert set(to_claim(at, left=(), overdue=())) == set(shares(5))


def test_two_that_begin_together_claim_half_each() -> None:
    owners = dict.fromkeys(shares(6))

    for me in ("a", "b"):
        assert len(to_claim(standing(me, owners, ["a", "b"]), left=(), overdue=())) == 3


def test_who_owns_its_part_claims_only_what_nobody_took_for_long() -> None:
    mine, free = shares(2)
    at = standing("a", {mine: "a", free: None}, ["a", "b"])

    assert to_claim(at, left=(), overdue=()) == []
    assert to_claim(at, left=(), overdue=[free]) == [free]


def test_what_was_left_to_others_is_not_claimed_at_once() -> None:
    at = standing("a", dict.fromkeys(shares(1)), ["a"])

    assert to_claim(at, left=shares(1), overdue=shares(1)) == []


def test_who_owns_two_more_than_another_gives_up_until_they_are_even() -> None:
    at = standing("a", dict.fromkeys(shares(6), "a"), ["a", "b"])

    assert len(to_give_up(at, firm=())) == 3


def test_a_difference_of_one_stays() -> None:
    owners = dict(zip(shares(3), ["a", "a", "b"], strict=True))

    assert to_give_up(standing("a", owners, ["a", "b"]), firm=()) == []


def test_nothing_is_given_up_for_who_can_not_run_it() -> None:
    at = Standing("a", dict.fromkeys(shares(4), "a"), {"a": CODE, "b": ["p0 2", "p1 2"]})

    assert to_give_up(at, firm=()) == []


def test_what_nobody_took_before_is_not_given_up_again() -> None:
    at = standing("a", dict.fromkeys(shares(2), "a"), ["a", "b"])

    assert to_give_up(at, firm=shares(2)) == []


@pytest.mark.parametrize("seed", range(30))
def test_whoever_comes_and_goes_the_loads_become_even_and_then_nothing_moves(seed: int) -> None:
    random = Random(seed)
    owners: dict[Share, str | None] = dict.fromkeys(shares(random.randint(1, 20)))
    for workers in (random.sample("abcdef", random.randint(1, 6)) for _ in range(4)):
        owners = {share: owner if owner in workers else None for share, owner in owners.items()}
        for _ in range(12):
            look(owners, random.sample(workers, len(workers)))
        settled = dict(owners)
        look(owners, workers)

        loads = standing(workers[0], owners, workers).loads()
        assert max(loads.values()) - min(loads.values()) <= 1
        assert (owners, None in owners.values()) == (settled, False)


def look(owners: dict[Share, str | None], workers: list[str]) -> None:
    """Each looks at the same state, and acts on it in turn."""
    at = {me: standing(me, dict(owners), workers) for me in workers}
    left = {me: to_give_up(at[me], firm=()) for me in workers}
    for me in workers:
        owners.update(dict.fromkeys(left[me]))
    for me in workers:
        seen = standing(me, dict(owners), workers)
        for share in to_claim(seen, left=left[me], overdue=()):
            if owners[share] is None:
                owners[share] = me
