"""Say what becomes of a projection when one of its events fails, and by which keys its events are ordered."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import msgspec

from diptych.errors import BadProjection, DiptychError
from diptych.event import RecordedEvent

TRIES = 4
LIMIT = 1000
MOST_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Stop:
    """
    Stand still at an event that fails, as `faulted`, until it is retried or skipped.

    Attributes:
        tries: How often it is tried, with growing pauses. A database that is away counts for none.
    """

    tries: int = TRIES

    def __post_init__(self) -> None:
        _check_positive(tries=self.tries)


@dataclass(frozen=True, slots=True, kw_only=True)
class Park:
    """
    Set an event that fails aside, and go on with the others; later events of its key queue behind it, in order.

    Attributes:
        tries: How often it is tried before.
        limit: How many events may be parked; at one more, the projection stands still as `faulted`.
    """

    tries: int = TRIES
    limit: int = LIMIT

    def __post_init__(self) -> None:
        _check_positive(tries=self.tries, limit=self.limit)


OnFailure: TypeAlias = Stop | Park


def stream_key(stream_id: str) -> str:
    """What an event queues under whose own keys can't be known."""
    return f"stream {stream_id}"


def in_words(keys: Callable[[RecordedEvent[Any]], Any], event: RecordedEvent[Any]) -> frozenset[str]:
    """The keys of an event as text; its stream where they can't be found."""
    try:
        return frozenset(map(_text, keys(event)))
    except Exception:  # noqa: BLE001  # this may be what it fails of
        return frozenset({stream_key(event.stream_id)})


def told(error: Exception) -> str:
    """An error in words for those who look after a projection: text that every database can hold."""
    words = str(error) if isinstance(error, DiptychError) else f"{type(error).__name__}: {error}"
    return words.replace("\0", "\\0").encode(errors="backslashreplace").decode()[:MOST_CHARACTERS]


def _text(key: Any) -> str:
    return key if isinstance(key, str) else msgspec.json.encode(key, enc_hook=str).decode().strip('"')


def _check_positive(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise BadProjection(f"on_failure has {name}={number}: give at least 1")
