"""
Find the page of a search whose best answers come first.

Only the newest of what matches is ranked, so that the cost is bounded. A walk by cursor stays with
what there was when it began: what came later would push the oldest out.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from diptych.read.ask.question import Columns, Question
from diptych.read.ask.ranking import RANKED, Alphabet, score

AT_ONCE = 50  # so many are scored before others have their turn
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
    found = await _scored(candidates, columns, question)
    found.sort(key=_place, reverse=True)
    if after is not None:
        last = (after[1], after[2], columns.comparable(after[3]))
        found = [each for each in found if _place(each) < last]
    return found, newest if newest is not None else max((each.position for each in found), default=0)


async def _scored(candidates: Sequence[Sequence[Any]], columns: Columns, question: Question) -> list[Ranked]:
    found: list[Ranked] = []
    if question.search is None:
        return found
    alphabet = Alphabet(question.search)
    for number, (key, position, *texts) in enumerate(candidates):
        if number % AT_ONCE == 0:
            await asyncio.sleep(0)
        found.append(Ranked(score([text for text in texts if text], alphabet), position, key, columns.key(key)))
    return found


def _place(found: Ranked) -> tuple[int, int, Any]:
    return found.score, found.position, found.comparable
