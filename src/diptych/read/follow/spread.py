"""
Spread what is to be kept in step over the workers that live: no two loads differ by more than one.

Pure: from who owns what now to what one worker claims and gives up. Whoever owns two
more than another that could run it gives up; so what is spread stays where it is.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from math import ceil

from diptych.read.books.checkpoint import Share


@dataclass(frozen=True, slots=True)
class Standing:
    """
    Who owns what, as one worker sees it.

    Attributes:
        me: That worker.
        owners: Of each share that it could own, the owner; None where nobody's lease runs.
        able: The workers that live, itself among them, and the code that each can run.
    """

    me: str
    owners: Mapping[Share, str | None]
    able: Mapping[str, Collection[str]]

    @property
    def fair(self) -> int:
        """How many a worker owns at most, where all are alike."""
        return ceil(len(self.owners) / max(1, len(self.able)))

    def loads(self) -> dict[str, int]:
        """How many each worker owns."""
        loads = dict.fromkeys(self.able, 0)
        for owner in self.owners.values():
            if owner in loads:
                loads[owner] += 1
        return loads


def to_claim(at: Standing, *, left: Collection[Share], overdue: Collection[Share]) -> list[Share]:
    """
    What to claim: as much as is fair, and whatever nobody else took for long.

    Args:
        left: What this worker gave up just now, for others.
        overdue: What has been without an owner for longer than it takes others to look.
    """
    free = [share for share, owner in at.owners.items() if owner is None]
    room = max(0, at.fair - at.loads()[at.me])
    wanted = sorted((share for share in free if share not in left), key=lambda share: _rank(at.me, share))
    return [*wanted[:room], *(share for share in wanted[room:] if share in overdue)]


def to_give_up(at: Standing, *, firm: Collection[Share]) -> list[Share]:
    """
    What to give up, for workers that own at least two less and can run it.

    Args:
        firm: What stays: it stands still, or nobody took it when it was given up before.
    """
    loads, given = at.loads(), []
    for share in sorted((share for share, owner in at.owners.items() if owner == at.me), key=str):
        others = [worker for worker, runs in at.able.items() if worker != at.me and share.of.code in runs]
        least = min(others, key=lambda worker: (loads[worker], worker), default=None)
        if least is not None and share not in firm and loads[least] <= loads[at.me] - 2:
            loads[least] += 1
            loads[at.me] -= 1
            given.append(share)
    return given


def _rank(worker: str, share: Share) -> bytes:
    """An order of its own for each worker, so that not all reach for the same."""
    return blake2b(f"{worker} {share}".encode(), digest_size=8).digest()
