"""
See to its end what may not be left half done, though its caller is cancelled meanwhile.

A connection whose opening is cancelled half-way is nobody's, and one whose end is
cancelled goes back to no pool: either stays open until the program ends.
"""

import asyncio
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


async def to_its_end(work: Awaitable[T], *, patience_s: float | None = None) -> T:
    """
    The outcome of *work*; a caller that is cancelled learns of it once the work has ended.

    Args:
        patience_s: How long a cancelled caller waits for that end; None for as long as it takes.
    """
    ending = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(ending)
    except asyncio.CancelledError:
        done, _ = await asyncio.wait([ending], timeout=patience_s)
        if done and not ending.cancelled():
            ending.exception()  # what came of it is of no interest any more
        raise
