"""
Compare two sides: alternate them over several rounds, and tell the ratio with its spread.

A machine's speed wanders; a ratio of neighbours wanders less. The median of the
rounds is the figure, the lowest and highest round are its spread.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

Side: TypeAlias = Callable[[], Awaitable[float]]


@dataclass(frozen=True)
class Result:
    """
    One row: the medians of both sides in `unit`, and ours divided by theirs.

    For a rate more than 1 is better, for a duration less.
    """

    name: str
    ours: float
    theirs: float
    ratio: float
    low: float
    high: float
    unit: str

    def line(self) -> str:
        """The row for a person."""
        return (
            f"{self.name:28} ours {self.ours:>12,.1f}  theirs {self.theirs:>12,.1f} {self.unit:10}"
            f" ratio {self.ratio:.2f} ({self.low:.2f}–{self.high:.2f})"
        )


async def compare(name: str, ours: Side, theirs: Side, *, unit: str, rounds: int = 5) -> Result:
    """Run both sides by turns; a first round of each warms up and doesn't count."""
    await ours()
    await theirs()
    pairs = [(await ours(), await theirs()) for _ in range(rounds)]
    ratios = [mine / other for mine, other in pairs]
    return Result(
        name,
        median(mine for mine, _ in pairs),
        median(other for _, other in pairs),
        median(ratios),
        min(ratios),
        max(ratios),
        unit,
    )
