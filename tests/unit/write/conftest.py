"""What the tests of the write panel share: a log of each kind, and something small to decide about."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from diptych.log import EventStore, open_store

from .counter import EVENTS


@pytest.fixture(params=["memory", "sqlite"])
async def event_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EventStore]:
    url = "memory://" if request.param == "memory" else f"sqlite:///{tmp_path}/log.db"
    async with open_store(url, EVENTS) as opened:
        yield opened
