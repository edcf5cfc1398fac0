"""
Find rows by their words, the same on every database.

One tokenizer for what is stored and what is asked: compatibility forms and
case are folded, marks dropped, runs of letters and digits are the words. What a
user types never reaches the query language: only words of that form do.
"""

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import accumulate
from typing import NamedTuple

from diptych.errors import InvalidQuery

MAX_TERMS, MAX_WORDS = 32, 64  # what a search may ask for, each term once, and the words of all of them
MAX_WORD = 255  # a longer one is known by its beginning
LAST_PLACE = 16_383  # as far as PostgreSQL counts
HELD, BESIDE_A_WORD = 1_000_000, 6  # bytes of a row's words: PostgreSQL takes 1,048,575, and these beside each
SURELY_HELD = HELD // (4 * MAX_WORD + BESIDE_A_WORD)
BETWEEN_TEXTS = "\N{SYMBOL FOR UNIT SEPARATOR}"  # a word to the databases, and none that anybody can ask for

_WORD = re.compile(r"[^\W_]+")
DELIMITER = "\N{INFORMATION SEPARATOR ONE}"
_FEW = 256  # words, for which what stands around them is kept
_ASCII = bytes(ord(chr(code).lower()) if chr(code).isalnum() else 32 for code in range(128)).ljust(256)
_ASCII_PARTS = _ASCII[: ord(DELIMITER)] + DELIMITER.encode() + _ASCII[ord(DELIMITER) + 1 :]
_TERM = re.compile(r'"([^"]*)"?|(\S+)')


def words(text: str) -> list[str]:
    """The words of a text, folded: "Queso Cabrálés" gives queso and cabrales."""
    if text.isascii():  # the same, and faster
        return _split(text.encode().translate(_ASCII).decode())
    return _short(_WORD.findall(folded(text)))


def _split(folded: str) -> list[str]:
    found = folded.split()
    return found if len(folded) <= MAX_WORD else _short(found)


def _short(found: list[str]) -> list[str]:
    return found if max(map(len, found), default=0) <= MAX_WORD else [word[:MAX_WORD] for word in found]


def terms(query: str) -> list[list[str]]:
    """What a search asks for: each quoted phrase, and each single word, as its words."""
    found = [words(quoted or plain) for quoted, plain in _TERM.findall(query)]
    return [term for term in found if term]


def ends_open(query: str) -> bool:
    """Whether the last term may be continued: it isn't closed by a quote."""
    return not query.rstrip().endswith('"')


@dataclass(frozen=True, slots=True)
class Asked:
    """A search as it was typed, its terms, each once and as its words, and whether the last may go on."""

    text: str
    terms: list[list[str]]
    is_open: bool

    @staticmethod
    def of(query: str) -> "Asked":
        """
        What a query asks for.

        Raises:
            InvalidQuery: More terms or words than a search may have.
        """
        found, is_open = terms(query), ends_open(query)
        closed, last = (found[:-1], found[-1:]) if is_open else (found, [])  # what may go on is another term
        once = [*map(list, dict.fromkeys(map(tuple, closed))), *last]
        if len(once) > MAX_TERMS:
            raise InvalidQuery(f"the search has {len(once)} terms: at most {MAX_TERMS} are looked for")
        if (asked := sum(map(len, once))) > MAX_WORDS:
            raise InvalidQuery(f"the search has {asked} words: at most {MAX_WORDS} are looked for")
        return Asked(query, once, is_open)


class Place(NamedTuple):
    """A word, folded, and the characters of the text that it stands at."""

    word: str
    start: int
    end: int


def words_with_places(text: str) -> Iterator[Place]:
    """The words of a text, as `words` gives them, each with its place."""
    if text.isascii():
        for found in _WORD.finditer(text.lower()):
            yield Place(found.group()[:MAX_WORD], *found.span())
        return
    letters = [(each, at) for at, character in enumerate(text) for each in _folded(character)]
    for found in _WORD.finditer("".join(each for each, _ in letters)):
        start, end = letters[found.start()][1], letters[found.end() - 1][1] + 1
        while end < len(text) and unicodedata.combining(text[end]):  # marks go with the letter before them
            end += 1
        yield Place(found.group()[:MAX_WORD], start, end)


def words_of(texts: Sequence[str]) -> list[str]:
    """The words of several texts, so that no phrase begins in one and ends in the next."""
    found = words(texts[0]) if texts else []
    for text in texts[1:]:
        found += [BETWEEN_TEXTS, *words(text)]
    return _held(found)


def words_of_each(columns: Sequence[Sequence[str | None]]) -> list[list[str]]:
    """The words of many rows, each row's as `words_of` gives them for its texts that are not empty."""
    rows = zip(*map(_apart, columns), strict=True)
    between = f" {BETWEEN_TEXTS} "
    return [_held(_split(between.join(filter(None, row)))) for row in rows]


def _apart(texts: Sequence[str | None]) -> Sequence[str]:
    """Of each text its words with blanks between them, a blank where it has none; all at once where all are ASCII."""
    given = [text or "" for text in texts]
    whole = DELIMITER.join(given)
    if whole.isascii() and whole.count(DELIMITER) == len(given) - 1:
        return whole.encode().translate(_ASCII_PARTS).decode().split(DELIMITER)
    return [" ".join(words(text)) or " " if text else "" for text in given]


def _held(found: list[str]) -> list[str]:
    """So many of the words as every database can hold of one row."""
    if len(found) <= SURELY_HELD:
        return found
    sizes = list(accumulate(len(word.encode()) + BESIDE_A_WORD for word in found))
    return found[: bisect_right(sizes, HELD)]


def folded(text: str) -> str:
    """A text in compatibility forms, without case and marks."""
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    return "".join(character for character in decomposed if not unicodedata.combining(character)).lower()


_folded = lru_cache(maxsize=4096)(folded)  # of one character


def fts5(asked: Asked) -> str | None:
    """The FTS5 form of a search: every term, the last as a prefix; None for no words at all."""
    found = [f'"{" ".join(term)}"' for term in asked.terms]
    if not found:
        return None
    return " AND ".join(found) + ("*" if asked.is_open else "")


def tsquery(asked: Asked) -> str | None:
    """The same for PostgreSQL, in a form that no parser of its own looks at."""
    found = [" <-> ".join(f"'{word}'" for word in term) for term in asked.terms]
    if not found:
        return None
    return " & ".join(f"({term})" for term in [*found[:-1], found[-1] + (":*" if asked.is_open else "")])


def tsvector(found: Sequence[str]) -> str:
    """What a search on PostgreSQL looks through: words, each with its place."""
    first = _places(min(len(found), _FEW)) % tuple(found[:_FEW])
    return first + "".join(f" '{word}':{min(place, LAST_PLACE)}" for place, word in enumerate(found[_FEW:], _FEW + 1))


@cache
def _places(number: int) -> str:
    """So many places, each for a word."""
    return " ".join(f"'%s':{place}" for place in range(1, number + 1))
