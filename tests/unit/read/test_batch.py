"""The collector rests while batches are worked through, and never for good."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import AbstractContextManager

import pytest

from diptych.read.projections import batch
from diptych.read.projections.batch import collector_paused
from diptych.testing.conformance.case import until


@pytest.fixture(autouse=True)
def collector() -> Iterator[None]:
    gc.enable()
    yield
    gc.enable()


def test_it_rests_until_the_last_of_those_that_overlap_is_done() -> None:
    first, second = collector_paused(), collector_paused()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert not gc.isenabled()

    second.__exit__(None, None, None)
    assert gc.isenabled()


def test_it_has_its_turn_where_batches_overlap_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LONGEST_S", 0.0)
    with collector_paused():
        with collector_paused():
            assert not gc.isenabled()
        assert gc.isenabled()
        with collector_paused():
            assert not gc.isenabled()


def test_it_stays_off_where_the_program_switched_it_off() -> None:
    gc.disable()
    with collector_paused():
        assert not gc.isenabled()
    assert not gc.isenabled()


def test_it_goes_on_behind_a_batch_that_fails() -> None:
    with pytest.raises(RuntimeError), collector_paused():
        raise RuntimeError("in the batch")
    assert gc.isenabled()


async def test_it_has_its_turn_where_one_batch_waits_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batch, "LONGEST_S", 0.02)
    await a_batch_that_waits()
    await a_batch_that_waits()


def test_it_has_its_turn_though_the_loop_that_began_the_pause_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(a_short_batch())

    monkeypatch.setattr(batch, "LONGEST_S", 0.02)
    first = collector_paused()
    asyncio.run(entered(first))
    asyncio.run(a_batch_that_waits())
    first.__exit__(None, None, None)


async def a_short_batch() -> None:
    with collector_paused():
        assert not gc.isenabled()


async def entered(pause: AbstractContextManager[None]) -> None:
    pause.__enter__()


async def a_batch_that_waits() -> None:
    async def is_on() -> bool:
        return gc.isenabled()

    with collector_paused():
        assert not gc.isenabled()
        await until(is_on)
