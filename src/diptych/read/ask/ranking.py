"""
Say how well a row answers a search, and show where: the same on every database.

Both come from the texts and the tokenizer that made the search's words, never from a
database's own idea of rank. What is ranked and what is shown is bounded.
"""

from collections.abc import Iterator, Sequence
from html import escape

from diptych.read.projections.search import BETWEEN_TEXTS, Asked, words_of, words_with_places

RANKED = 1_000  # so many of the newest rows that match are ranked
WEIGHED = 2_000  # characters of each text that count for that
SHOWN, BEFORE = 200, 60  # characters of a snippet, and how many of them stand before the first word found
READ = 20_000  # characters of a text that are looked at for a snippet
_SATURATION, _LENGTH, _NORMAL = 1.2, 0.75, 16  # of BM25, for texts of so many words
_BEGUN = 0.5  # what a word that is only begun counts
_STEPS = 1_000_000  # scores are whole numbers: they are compared, and travel in cursors


def score(texts: Sequence[str], asked: Asked) -> int:
    """How well texts answer a search: by how often its words occur, whole or begun, and in how few words."""
    found = words_of(texts)
    length = sum(word != BETWEEN_TEXTS for word in found)
    damping = _SATURATION * (1 - _LENGTH + _LENGTH * length / _NORMAL)
    total = 0.0
    for term in range(len(asked.terms)):
        often = sum(1.0 if whole else _BEGUN for _, whole in _occurrences(found, asked, term))
        total += often * (_SATURATION + 1) / (often + damping)
    return round(total * _STEPS)


def highlight(text: str, search: str) -> str | None:
    """
    A snippet of a text as HTML, the words that a search finds in `<mark>`; None where it finds none.

    Everything else in it is escaped: it is safe in a page whatever the text holds.
    """
    return highlighted(text, Asked.of(search))


def highlighted(text: str, asked: Asked) -> str | None:
    """See `highlight`."""
    text = text[:READ]
    places = list(words_with_places(text))
    found = [place.word for place in places]
    marks = sorted(
        (places[at].start, places[at + len(asked.terms[term]) - 1].end)
        for term in range(len(asked.terms))
        for at, _ in _occurrences(found, asked, term)
    )
    if not marks:
        return None
    start, end = _window(text, marks[0][0])
    return f"{'…' if start else ''}{''.join(_marked(text, start, end, marks))}{'…' if end < len(text) else ''}"


def _occurrences(found: Sequence[str], asked: Asked, number: int) -> Iterator[tuple[int, bool]]:
    """Where a term of a search stands among words, and whether all of it does, not only its beginning."""
    term = asked.terms[number]
    begun = asked.is_open and number == len(asked.terms) - 1
    *before, last = term
    for at in range(len(found) - len(term) + 1):
        end = found[at + len(term) - 1]
        if (end == last or (begun and end.startswith(last))) and found[at : at + len(before)] == before:
            yield at, end == last


def _window(text: str, first: int) -> tuple[int, int]:
    """The part of a text that is shown, from one space to another."""
    if len(text) <= SHOWN:
        return 0, len(text)
    start = max(0, first - BEFORE)
    if start and (space := text.find(" ", start, first)) >= 0:
        start = space + 1
    end = min(len(text), start + SHOWN)
    if end < len(text) and (space := text.rfind(" ", first, end)) > first:
        end = space
    return start, end


def _marked(text: str, start: int, end: int, marks: Sequence[tuple[int, int]]) -> Iterator[str]:
    at = start
    for first, last in marks:
        left, right = max(at, first), min(last, end)
        if left < right:
            yield f"{escape(text[at:left])}<mark>{escape(text[left:right])}</mark>"
            at = right
    yield escape(text[at:end])
