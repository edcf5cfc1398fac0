"""Wait for a condition, never for a time."""

import asyncio
import time
from collections.abc import Callable

DEADLINE_S = 120.0


async def until(condition: Callable[[], bool], otherwise: str, *, deadline_s: float = DEADLINE_S) -> None:
    """Look again and again until *condition* holds; fail with *otherwise* when it never does."""
    deadline = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < deadline, otherwise
        await asyncio.sleep(0.01)
