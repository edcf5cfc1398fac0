"""
Hand out a result page by page, by number or by a cursor that says where the last page ended.

A cursor is signed: nobody else can make one, and it goes on with its own question only.
"""

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Generic, TypeVar

import msgspec

from diptych.errors import InvalidQuery, Malformed

T = TypeVar("T")
SIGNATURE_BYTES = 16


@dataclass(frozen=True, slots=True)
class PaginatedResult(Generic[T]):
    """
    A page of a result.

    Attributes:
        total: How many there are in all; None where they weren't counted.
        page: 1 is the first; the page asked for, also behind the end.
        next_cursor: Leads to the next page without counting past what was seen; None on the last.
        highlights: For each item, snippets of its searched columns as HTML, where they were asked for.
    """

    items: list[T]
    total: int | None
    page: int
    page_size: int
    next_cursor: str | None = None
    highlights: list[dict[str, str]] | None = None

    @property
    def total_pages(self) -> int | None:
        """How many pages there are: 0 for an empty result, None where it wasn't counted."""
        return None if self.total is None else -(-self.total // self.page_size)


class Cursor(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Where a page ended: a digest of its question, and the last row's values of what it was sorted by."""

    question: str
    values: tuple[Any, ...]

    def encode(self, secret: bytes) -> str:
        """The cursor as opaque text, which only a holder of the secret can make."""
        body = msgspec.json.encode(self)
        return _packed(_signature(body, secret) + body)

    @staticmethod
    def decode(text: str, secret: bytes) -> "Cursor":
        """
        The cursor that *text* was made from.

        Raises:
            Malformed: Nobody here made that text.
        """
        signed = _unpacked(text)
        signature, body = signed[:SIGNATURE_BYTES], signed[SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _signature(body, secret)):
            raise Malformed("cursor", "it was not made here, or it was changed")
        return _DECODER.decode(body)

    def check(self, question: str) -> None:
        """
        Insist that it goes on with the same question.

        Raises:
            InvalidQuery: The order, the search or a filter is another one.
        """
        if self.question != question:
            raise InvalidQuery("the cursor belongs to another order or filter: begin again without it")


_DECODER = msgspec.json.Decoder(Cursor)


def digest_of(question: Any) -> str:
    """What tells one question from another."""
    return blake2b(msgspec.json.encode(question, order="deterministic"), digest_size=9).hexdigest()


def _packed(signed: bytes) -> str:
    return urlsafe_b64encode(signed).rstrip(b"=").decode()


def _unpacked(text: str) -> bytes:
    try:
        signed = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4))
    except ValueError as error:
        raise Malformed("cursor", "it does not decode") from error
    if _packed(signed) != text:  # decoding skips what doesn't belong
        raise Malformed("cursor", "it does not decode")
    return signed


def _signature(body: bytes, secret: bytes) -> bytes:
    return blake2b(body, digest_size=SIGNATURE_BYTES, key=secret, person=b"diptych cursor").digest()
