"""
Find the page of a search whose best answers come first.

Only the newest of what matches is ranked, so that the cost is bounded. A walk by cursor stays with
what there was when it began: what came later would push the oldest out.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from diptych.read.ask.question import Columns, Question
from diptych.read.ask.ranking import RANKED, score
from diptych.read.projections.search import Asked

Fetch: TypeAlias = Callable[[tuple[str, tuple[Any, ...]]], Awaitable[Sequence[Sequence[Any]]]]


@dataclass(frozen=True, slots=True)
class Ranked:
    """A row's place among what is ranked: the highest score first, then the newest."""

    score: int
    position: int
    comparable: Any
    key: Any


async def ranked(
    fetch: Fetch, columns: Columns, question: Question, after: Sequence[Any] | None
) -> tuple[list[Ranked], int]:
    """
    What comes behind a place, or all of it, best first; and the newest position that was looked at.

    Args:
        after: The newest position of the walk, then score, position and key of the last row it met.
    """
    newest = None if after is None else after[0]
    candidates = await fetch(columns.candidates(question, newest, RANKED))
    asked = Asked.of(question.search or "")
    found = [
        Ranked(score([text for text in texts if text], asked), position, key, columns.key(key))
        for key, position, *texts in candidates
    ]
    found.sort(key=_place, reverse=True)
    if after is not None:
        last = (after[1], after[2], columns.comparable(after[3]))
        found = [each for each in found if _place(each) < last]
    return found, newest if newest is not None else max((each.position for each in found), default=0)


def _place(found: Ranked) -> tuple[int, int, Any]:
    return found.score, found.position, found.comparable
