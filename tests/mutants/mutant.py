"""A line that carries a promise, and what it is changed into."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """A line that is changed, and what must fail then: a file of tests, and words of their names."""

    name: str
    promise: str
    file: str
    before: str
    after: str
    tests: str
    words: str = ""
