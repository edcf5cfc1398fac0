"""Processes that are killed between an effect elsewhere and its checkpoint."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faults.letters import Ordered, letters
from tests.serving import ROOT, environment

from diptych import Appended
from diptych.app import Running


@pytest.mark.timeout(600)
@pytest.mark.parametrize("backend", ["sqlite", "postgres"])
async def test_what_was_done_before_a_kill_is_done_again_with_its_id_and_nothing_is_lost(
    backend: str, request: pytest.FixtureRequest, tmp_path: Path, amount: Callable[..., int]
) -> None:
    url = request.getfixturevalue("postgres")(18) if backend == "postgres" else ""
    log, read = (url, url) if url else (f"sqlite:///{tmp_path}/log.db", f"sqlite:///{tmp_path}/read.db")
    events, sent = amount(short=4, long=30), tmp_path / "sent.txt"
    sent.touch()
    async with letters(sent).open(log, read) as running:
        await running.caught_up()  # it is deployed, and nothing has happened yet
    async with letters(sent).open(log, read, runner=False) as running:
        for number in range(events):
            await order(running, number)
        ids = [f"letters-{event.event_id}" for event in await running.event_store.read_all()]

    codes = [await ended(log, read, sent) for _ in range(events + 1)]

    assert codes == [-signal.SIGKILL] * events + [0]
    assert Counter(sent.read_text(encoding="utf-8").split()) == dict.fromkeys(ids, 2)


async def order(running: Running, number: int) -> Appended:
    return await running.event_store.append_events(
        stream_id=f"Order-{number}", stream_type="Order", events=[Ordered(number=number)]
    )


async def ended(log: str, read: str, sent: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.faults.letters", log, read, str(sent)),
        cwd=ROOT,
        env=environment(PYTHONPATH=":".join(sys.path)),
    )
    return await process.wait()
