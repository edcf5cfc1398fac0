"""When two builds of a projection come from the same code."""

import subprocess
import sys
from collections.abc import Callable
from functools import cached_property
from typing import Any

from diptych.read.projections.fingerprint import fingerprint

RATES = {"a": 1, "b": 2}


def helper(rate: int) -> int:
    return rate + 1


class Base:
    def __init__(self, currency: str = "EUR") -> None:
        self.currency = currency
        self._seen = 0

    def evolve(self, row: Any) -> Any:
        return self._more(row)

    def _more(self, row: Any) -> Any:
        return [helper(rate) for rate in RATES.values()]

    @cached_property
    def _lookup(self) -> dict[str, int]:
        return {"x": 1}

    @property
    def factor(self) -> int:
        return 2


def test_the_same_code_has_the_same_fingerprint_in_every_process() -> None:
    used = Base()
    used._seen, _ = 5, used._lookup

    assert fingerprint(used) == fingerprint(Base())
    told = "from tests.unit.read.test_fingerprint import *; print(fingerprint(Base()))"
    runs = [subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=True) for _ in range(2)]
    assert {run.stdout.strip() for run in runs} == {_as_imported()}


def _as_imported() -> str:
    from tests.unit.read import test_fingerprint

    return fingerprint(test_fingerprint.Base())


def test_whatever_it_reaches_counts(monkeypatch: Any) -> None:
    before = fingerprint(Base())
    others: list[Callable[[], Any]] = [
        lambda: monkeypatch.setattr(f"{__name__}.helper", lambda rate: rate + 2),
        lambda: monkeypatch.setitem(RATES, "c", 3),
        lambda: monkeypatch.setattr(Base, "_more", lambda self, row: row),
        lambda: monkeypatch.setattr(Base, "factor", property(lambda self: 3)),
        lambda: monkeypatch.setattr(Base, "rate", 0.2, raising=False),
    ]
    for change in others:
        change()
        assert fingerprint(Base()) != before
        monkeypatch.undo()
        assert fingerprint(Base()) == before
    assert fingerprint(Base("USD")) != before


def test_a_class_in_a_function_is_told_from_another_by_what_it_encloses() -> None:
    def projection(rate: int) -> Any:
        class Own:
            def evolve(self, row: Any) -> int:
                return rate

        return Own()

    assert fingerprint(projection(1)) == fingerprint(projection(1)) != fingerprint(projection(2))
