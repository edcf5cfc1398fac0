"""
Keep a query to the rows that its asker may see, whatever its handler asks for.

Rows beyond the scope are as good as not there: not found by key, not on a page, not
counted, not streamed. A read model that has no column for it can't be read at all.
"""

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from diptych.errors import Misuse
from diptych.read.projections.shape import Shape

_scope: ContextVar[Mapping[str, Any] | None] = ContextVar("diptych_scope", default=None)


def current_scope() -> Mapping[str, Any]:
    """What the rows of the query under way must have, for statements of one's own; empty where all may be seen."""
    return _scope.get() or {}


@contextmanager
def within(scope: Mapping[str, Any]) -> Iterator[None]:
    """Let every read model that is read inside show only the rows of a scope, within the one outside."""
    outer = current_scope()
    both = {column: _both(outer[column], scope[column]) for column in scope.keys() & outer.keys()}
    token = _scope.set({**scope, **outer, **both})
    try:
        yield
    finally:
        _scope.reset(token)


def scope_of(shape: Shape, name: str) -> Mapping[str, Any]:
    """
    What the rows of a read model must have.

    Raises:
        Misuse: It has no such column, so that nobody could tell whose its rows are.
    """
    scope = current_scope()
    if unknown := scope.keys() - set(shape.listed):
        raise Misuse(
            f"the policy keeps this query to rows with a certain {', '.join(sorted(unknown))}, and {name} has no "
            "such column that is Key or Indexed: add it, or allow or deny the query as a whole"
        )
    return scope


def is_visible(shape: Shape, name: str, row: Any) -> bool:
    """Whether a row is in the scope."""
    for column, wanted in scope_of(shape, name).items():
        has = row[column] if isinstance(row, Mapping) else getattr(row, column)
        if has not in [shape.column(column).value(each) for each in _several(wanted)]:
            return False
    return True


def _both(outer: Any, inner: Any) -> list[Any]:
    """The values that two scopes allow."""
    return [each for each in _several(inner) if each in _several(outer)]


def _several(wanted: Any) -> Collection[Any]:
    return wanted if isinstance(wanted, list | tuple | set | frozenset) else [wanted]


def insist_on_all_rows(what: str) -> None:
    """
    Refuse statements of one's own in a scope: nothing would keep them to it.

    Raises:
        Misuse: There is a scope.
    """
    if _scope.get():
        raise Misuse(
            f"the policy keeps this query to some rows, and a statement on {what} sees all: filter by "
            "diptych.current_scope() and say snapshot(all_rows=True)"
        )
