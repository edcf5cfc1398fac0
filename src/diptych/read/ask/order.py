"""
Put rows in an order that has no ties: by listed columns, then by the position that made the row, then by its key.

Nulls come last, either way round. What tells rows of equal values apart runs the way of
the last column, so that one index serves both directions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from diptych.errors import InvalidQuery
from diptych.read.projections.shape import POSITION, Shape

MAX_COLUMNS = 4
RELEVANCE = "_relevance"
"""What best answers the search comes first; no column has such a name."""


@dataclass(frozen=True, slots=True)
class Sort:
    """One column of an order; whether it may hold nulls."""

    column: str
    descending: bool
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Order:
    """What was asked for, and every column that it takes to leave no ties."""

    asked: tuple[str, ...]
    sorts: tuple[Sort, ...]

    @property
    def is_by_relevance(self) -> bool:
        """Whether rows are ranked by how well they answer a search; then `sorts` says how ties are broken."""
        return self.asked == (RELEVANCE,)


def order_of(shape: Shape, order_by: str | Sequence[str] | None) -> Order:
    """
    The order that is asked for; the newest first where none is.

    Raises:
        InvalidQuery: A column that isn't listed or is named twice, or too many of them.
    """
    if order_by == RELEVANCE:
        return Order((RELEVANCE,), order_of(shape, None).sorts)
    asked = (order_by,) if isinstance(order_by, str) else tuple(order_by or ())
    sorts = [_sort(shape, each) for each in asked]
    names = [sort.column for sort in sorts]
    if len(names) > MAX_COLUMNS or len(set(names)) < len(names):
        raise InvalidQuery(f"no order {', '.join(asked)!r}: name each column once, and at most {MAX_COLUMNS}")
    if shape.key.name in names:  # nothing is left to be sorted behind it
        return Order(asked, tuple(sorts[: names.index(shape.key.name) + 1]))
    descending = sorts[-1].descending if sorts else True
    return Order(asked, (*sorts, Sort(POSITION, descending), Sort(shape.key.name, descending)))


def _sort(shape: Shape, text: str) -> Sort:
    name = text.removeprefix("-")
    if name not in shape.listed:
        raise InvalidQuery(f"no order {text!r}", allowed=shape.listed)
    return Sort(name, text.startswith("-"), shape.column(name).optional)
