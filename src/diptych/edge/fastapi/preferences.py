"""
Read RFC 7240's `Prefer`: how long a client will wait, and whether it waits at all.

A preference that isn't known, or is malformed, is as good as not sent.
"""

import re

from fastapi import Request
from msgspec import Struct

PREFER, APPLIED = "Prefer", "Preference-Applied"
_WAIT = re.compile(r'wait\s*=\s*"?(\d{1,9})"?', re.IGNORECASE)


class Preferences(Struct, frozen=True):
    """What a client prefers; None for *wait_s* where it doesn't say."""

    respond_async: bool = False
    wait_s: int | None = None

    def waiting(self, default_s: float, most_s: int) -> float:
        """Seconds to wait: what the client prefers, within bounds."""
        return default_s if self.wait_s is None else min(self.wait_s, most_s)

    def applied(self, most_s: int, *, waited: bool = True, respond_async: bool = False) -> dict[str, str]:
        """The header that tells which of them were followed."""
        followed = ["respond-async"] if respond_async else []
        if self.wait_s is not None and waited:
            followed.append(f"wait={min(self.wait_s, most_s)}")
        return {APPLIED: ", ".join(followed)} if followed else {}


NONE = Preferences()


def preferences_of(request: Request) -> Preferences:
    """The preferences of a request; the first of each name counts."""
    lines = request.headers.getlist(PREFER)
    if not lines:
        return NONE
    sent = [each.partition(";")[0].strip() for line in lines for each in line.split(",")]
    waits = [found[1] for each in sent if (found := _WAIT.fullmatch(each))]
    return Preferences(any(each.lower() == "respond-async" for each in sent), int(waits[0]) if waits else None)
