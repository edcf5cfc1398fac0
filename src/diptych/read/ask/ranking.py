"""
Say how well a row answers a search, and show where: the same on every database.

Both come from the texts and the tokenizer that made the search's words, never from a
database's own idea of rank. What is ranked and what is shown is bounded, and costs no more than
the words of the text: terms are found in them as one string in another.
"""

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import chain

from diptych.read.projections.search import BETWEEN_TEXTS, Asked, words_of, words_with_places

RANKED = 1_000  # so many of the newest rows that match are ranked
WEIGHED = 2_000  # characters of each text that count for that
SHOWN, BEFORE = 200, 60  # characters of a snippet, and how many of them stand before the first word found
READ = 20_000  # characters of a text that are looked at for a snippet
_SATURATION, _LENGTH, _NORMAL = 1.2, 0.75, 16  # of BM25, for texts of so many words
_BEGUN = 0.5  # what a word that is only begun counts
_STEPS = 1_000_000  # scores are whole numbers: they are compared, and travel in cursors
_OTHER, _GOES_ON = "\0", "\1"  # words that aren't asked for, and those that only begin with the last one


class Alphabet(dict[str, str]):
    """
    A letter for each word that a search asks for: what texts are spelled in, word by word, and terms, too.

    Args:
        asked: Its last term is spelled in every way that it may go on.
    """

    def __init__(self, asked: Asked) -> None:
        once = dict.fromkeys(word for term in asked.terms for word in term)
        super().__init__({word: chr(letter) for letter, word in enumerate(once, 2)})
        self._begun = asked.terms[-1][-1] if asked.terms and asked.is_open else None
        self.whole: list[str] = [self.spelled(term) for term in asked.terms]
        """Each term."""
        self.begun: list[list[str]] = [[] for _ in asked.terms]
        """What only begins with each."""
        if self._begun is not None:
            more = [letter for word, letter in self.items() if word != self._begun and word.startswith(self._begun)]
            self.begun[-1] = [self.whole[-1][:-1] + letter for letter in (*more, _GOES_ON)]

    def __missing__(self, word: str) -> str:
        """The letter of a word that isn't asked for, or only begun."""
        self[word] = letter = _GOES_ON if self._begun is not None and word.startswith(self._begun) else _OTHER
        return letter

    def spelled(self, found: Iterable[str]) -> str:
        """Words, a letter for each."""
        return "".join(map(self.__getitem__, found))


def score(texts: Sequence[str], alphabet: Alphabet) -> int:
    """How well texts answer a search: by how often its words occur, whole or begun, and in how few words."""
    found = words_of(texts)
    length = sum(word != BETWEEN_TEXTS for word in found)
    damping = _SATURATION * (1 - _LENGTH + _LENGTH * length / _NORMAL)
    spelled = alphabet.spelled(found)
    total = 0.0
    for whole, begun in zip(alphabet.whole, alphabet.begun, strict=True):
        often = spelled.count(whole) + _BEGUN * sum(map(spelled.count, begun))
        total += often * (_SATURATION + 1) / (often + damping)
    return round(total * _STEPS)


def highlight(text: str, search: str) -> str | None:
    """
    A snippet of a text as HTML, the words that a search finds in `<mark>`; None where it finds none.

    Everything else in it is escaped: it is safe in a page whatever the text holds.

    Raises:
        InvalidQuery: More terms or words than a search may have.
    """
    return highlighted(text, Alphabet(Asked.of(search)))


def highlighted(text: str, alphabet: Alphabet) -> str | None:
    """See `highlight`."""
    text = text[:READ]
    places = list(words_with_places(text))
    spelled = alphabet.spelled(place.word for place in places)
    wanted = [*alphabet.whole, *chain.from_iterable(alphabet.begun)]
    first = min((at for term in wanted if (at := spelled.find(term)) >= 0), default=None)
    if first is None:
        return None
    start, end = _window(text, places[first].start)
    behind = bisect_left(places, end, lo=first, key=lambda place: place.start)
    marks = sorted(
        (places[at].start, places[at + len(term) - 1].end)
        for term in wanted
        for at in _begins(spelled, term, first, behind)
    )
    return f"{'…' if start else ''}{''.join(_marked(text, start, end, marks))}{'…' if end < len(text) else ''}"


def _begins(spelled: str, term: str, first: int, behind: int) -> Iterator[int]:
    """Where a term begins among words, from one on and before another."""
    end = behind + len(term) - 1
    at = spelled.find(term, first, end)
    while at >= 0:
        yield at
        at = spelled.find(term, at + 1, end)


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
