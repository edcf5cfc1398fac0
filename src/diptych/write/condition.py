"""
Say at which versions of its stream a command may change it, as its sender has seen it.

The stream is the one that the receipt names: the first that the command changed,
else the first that it loaded. It is looked at when the command is about to commit
or refused, and the commit itself insists on what was seen.
"""

from collections.abc import Container, Sequence

from msgspec import Struct

from diptych.errors import Misuse, PreconditionFailed
from diptych.log import ToStream
from diptych.store.port import NO_STREAM

EVERY, EXISTING, NONE_YET = range(2**63), range(1, 2**63), range(1)


class Condition(Struct, frozen=True):
    """
    The versions that a command's stream may be at.

    Args:
        only: One of these.
        never: And none of these.
        told: How the sender put it.
    """

    only: Container[int] = EVERY
    never: Container[int] = ()
    told: str = "another"

    def holds(self, version: int) -> bool:
        """Whether a stream of that version may be changed; 0 is none yet."""
        return version in self.only and version not in self.never

    def insist(self, stream: str, version: int) -> None:
        """
        Refuse a stream that is elsewhere.

        Raises:
            PreconditionFailed: It is.
        """
        if not self.holds(version):
            raise PreconditionFailed(stream=stream, expected=self.told, actual=version)


def version_behind(streams: Sequence[ToStream]) -> tuple[str, int]:
    """
    The first of some streams, and the version that is to be appended behind.

    Raises:
        Misuse: The append takes any version, so that no condition can hold.
    """
    first = streams[0]
    if first.expected_version is NO_STREAM:
        return first.stream_id, 0
    if not isinstance(first.expected_version, int):
        raise Misuse(
            f"the command came with a condition, and its handler appends to {first.stream_id!r} at whatever version: "
            "name the expected version, or save through a repository"
        )
    return first.stream_id, first.expected_version
