"""
Name a place in a log so that it can travel: through a header, a cookie, a link.

To its holder a token is opaque. It says which log it belongs to, so that a
token of another log, or of one restored to an earlier point, is noticed.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Annotated

import msgspec

from diptych.errors import Malformed


class Token(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A position of a log, and the stream that it was reached by ("" for none)."""

    position: Annotated[int, msgspec.Meta(ge=0)]
    stream: str
    log_id: str
    incarnation: int

    def encode(self) -> str:
        """The token as opaque text, safe in a header and a URL."""
        return urlsafe_b64encode(msgspec.json.encode(self)).rstrip(b"=").decode()

    @staticmethod
    def decode(text: str) -> "Token":
        """
        The token that *text* was made from.

        Raises:
            Malformed: Nobody here made that text.
        """
        try:
            return _DECODER.decode(urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)))
        except (ValueError, msgspec.DecodeError) as error:
            raise Malformed("position token", "it does not decode") from error


_DECODER = msgspec.json.Decoder(Token)
