"""
Hand out a result page by page, by number or by a cursor that says where the last page ended.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Generic, TypeVar

import msgspec

from diptych.errors import InvalidQuery, Malformed

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PaginatedResult(Generic[T]):
    """
    A page of a result.

    Attributes:
        total: How many there are in all; None where they weren't counted.
        page: 1 is the first; the page asked for, also behind the end.
        next_cursor: Leads to the next page without counting past what was seen; None on the last.
    """

    items: list[T]
    total: int | None
    page: int
    page_size: int
    next_cursor: str | None = None

    @property
    def total_pages(self) -> int | None:
        """How many pages there are: 0 for an empty result, None where it wasn't counted."""
        return None if self.total is None else -(-self.total // self.page_size)


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended: its order, a digest of what was filtered, and the last row's place in the order."""

    order_by: str
    filtered: str
    value: Any
    position: int
    key: Any

    def encode(self) -> str:
        """The cursor as opaque text."""
        return urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()

    @staticmethod
    def decode(text: str) -> "Cursor":
        """
        The cursor that *text* was made from.

        Raises:
            Malformed: Nobody here made that text.
        """
        try:
            return _DECODER.decode(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        except (ValueError, msgspec.DecodeError) as error:
            raise Malformed("cursor", "it does not decode") from error

    def check(self, order_by: str, filtered: str) -> None:
        """
        Insist that it goes on with the same question.

        Raises:
            InvalidQuery: The order or a filter is another one.
        """
        if (self.order_by, self.filtered) != (order_by, filtered):
            raise InvalidQuery("the cursor belongs to another order or filter: begin again without it")


_DECODER = msgspec.json.Decoder(Cursor)


def digest_of(filters: Any) -> str:
    """What tells one filter from another."""
    return blake2b(msgspec.json.encode(filters, order="deterministic"), digest_size=6).hexdigest()
