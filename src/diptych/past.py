"""
Look at a log as it was: at a position, or at a time.

What was recorded by a time is the longest beginning of the log that was: times never
go back along positions. So a position and a time both name a beginning, and what is
folded from it is what was so then.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from diptych.codec import EPOCH
from diptych.errors import LogRewound, Misuse
from diptych.store.port import Page, Store, StoredEvent

At: TypeAlias = int | datetime


def recorded_by(events: Sequence[StoredEvent], at: At) -> list[StoredEvent]:
    """
    Those of some events, in the order of the log, that were in it at a position or a time.

    Raises:
        Misuse: It is neither: below 0, or without a time zone.
    """
    check_at(at)
    if isinstance(at, datetime):
        wanted = microseconds(at)
        return [event for event in events if event.recorded_at <= wanted]
    return [event for event in events if event.position <= at]


async def position_at(store: Store, at: At) -> int:
    """
    Where a store ended at a time, or at a position: the last one recorded by then, 0 where there is none.

    Raises:
        Misuse: It is neither: below 0, or without a time zone.
    """
    check_at(at)
    through = await store.head()
    if not isinstance(at, datetime):
        return min(at, through)
    wanted, before = microseconds(at), 0
    while before < through:
        middle = (before + through) // 2
        following = (await store.read(middle, limit=1)).events
        if following and following[0].position <= through and following[0].recorded_at <= wanted:
            before = following[0].position
        else:
            through = middle
    return before


def check_goes_further(page: Page, after: int, through: int) -> None:
    """
    Insist that a walk over the log comes nearer to where it is to end: it would go on for ever.

    Raises:
        LogRewound: The log ends before that by now.
    """
    if page.through <= after:
        raise LogRewound(
            who=f"a walk up to position {through}",
            why=f"the log ends at {page.through}: it went back meanwhile",
            repair="begin again",
        )


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """What differs between two states, by name: the value before and the value after, None where there is none."""
    names = [*before, *(name for name in after if name not in before)]
    return {name: (before.get(name), after.get(name)) for name in names if before.get(name) != after.get(name)}


def check_at(at: At) -> None:
    """
    Insist on a position or a time.

    Raises:
        Misuse: It is neither.
    """
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise Misuse(f"{at} has no time zone: use an aware time, such as datetime.now(UTC)")
    elif type(at) is not int or at < 0:
        raise Misuse(f"{at!r} is no place in a log: give a position from 0 on, or an aware time")


def microseconds(time: datetime) -> int:
    """A time as it is stored."""
    return (time - EPOCH) // timedelta(microseconds=1)
