"""
Find rows by their words, the same on every database.

One tokenizer for what is stored and what is asked: compatibility forms and
case are folded, marks dropped, runs of letters and digits are the words. What a
user types never reaches the query language: only words of that form do.
"""

import re
import unicodedata
from collections.abc import Sequence

MAX_WORD = 255  # a longer one is known by its beginning
LAST_PLACE = 16_383  # as far as PostgreSQL counts
BETWEEN_TEXTS = "\N{SYMBOL FOR UNIT SEPARATOR}"  # a word to the databases, and none that anybody can ask for

_WORD = re.compile(r"[^\W_]+")
_BETWEEN_WORDS = {code: " " for code in range(128) if not chr(code).isalnum()}  # the same for ASCII, and faster
_TERM = re.compile(r'"([^"]*)"?|(\S+)')


def words(text: str) -> list[str]:
    """The words of a text, folded: "Queso Cabrálés" gives queso and cabrales."""
    if text.isascii():
        return _short(text.lower().translate(_BETWEEN_WORDS).split())
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", text).casefold())
    text = "".join(character for character in decomposed if not unicodedata.combining(character))
    return _short(_WORD.findall(text.lower()))


def _short(found: list[str]) -> list[str]:
    return found if all(len(word) <= MAX_WORD for word in found) else [word[:MAX_WORD] for word in found]


def terms(query: str) -> list[list[str]]:
    """What a search asks for: each quoted phrase, and each single word, as its words."""
    found = [words(quoted or plain) for quoted, plain in _TERM.findall(query)]
    return [term for term in found if term]


def ends_open(query: str) -> bool:
    """Whether the last term may be continued: it isn't closed by a quote."""
    return not query.rstrip().endswith('"')


def fts5(query: str) -> str | None:
    """The FTS5 form of a search: every term, the last as a prefix; None for no words at all."""
    found = [f'"{" ".join(term)}"' for term in terms(query)]
    if not found:
        return None
    return " AND ".join(found) + ("*" if ends_open(query) else "")


def tsquery(query: str) -> str | None:
    """The same for PostgreSQL, in a form that no parser of its own looks at."""
    found = [" <-> ".join(f"'{word}'" for word in term) for term in terms(query)]
    if not found:
        return None
    return " & ".join(f"({term})" for term in [*found[:-1], found[-1] + (":*" if ends_open(query) else "")])


def tsvector(found: Sequence[str]) -> str:
    """What a search on PostgreSQL looks through: words, each with its place."""
    return " ".join(f"'{word}':{min(place, LAST_PLACE)}" for place, word in enumerate(found, 1))
