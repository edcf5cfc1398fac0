"""
Turn a question into the text of its statement and the parameters, as the driver takes them.

The text depends on what is asked, never on values: a driver that prepares statements
prepares each once. A place in an order is found by an index, not by counting up to it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, TypeAlias

from sqlalchemy import Dialect, Table

from diptych.read.ask.filters import Condition
from diptych.read.ask.order import Order, Sort
from diptych.read.ask.ranking import WEIGHED
from diptych.read.projections.columns import Processor, bind_of, result_of
from diptych.read.projections.search import Asked, fts5, tsquery
from diptych.read.projections.shape import BEGINNING, POSITION, ROW, WORDS, Shape


@dataclass(frozen=True, slots=True)
class Question:
    """Which rows are asked for, and in which order."""

    conditions: tuple[Condition, ...]
    search: Asked | None
    order: Order

    def told(self) -> list[Any]:
        """All of it, for a digest."""
        conditions = [(each.column, each.operator, each.values) for each in self.conditions]
        return [conditions, self.search and self.search.text, self.order.asked]


Stretch: TypeAlias = tuple[Sequence[str], Sequence[Sort]]
"""A part of an order: conditions, and what it is sorted by where they hold."""


class Statement:
    """The text of a statement under way, and its parameters."""

    def __init__(self, columns: "Columns") -> None:
        self._columns = columns
        self.parameters: list[Any] = []

    def value(self, column: str, value: Any) -> str:
        """A placeholder for a value of a column."""
        bind = self._columns.binds[column]
        return self.plain(bind(value) if bind else value)

    def plain(self, value: Any) -> str:
        """A placeholder for a value as it is."""
        self.parameters.append(value)
        return f"{'?' if self._columns.is_sqlite else '$'}{len(self.parameters)}"


class Columns:
    """The columns of one physical table, as a database names them and a driver takes and gives their values."""

    def __init__(self, shape: Shape, table: Table, dialect: Dialect) -> None:
        quote = dialect.identifier_preparer.quote
        self.shape = shape
        self.is_sqlite: bool = dialect.name == "sqlite"
        self.table: str = quote(table.name)
        self.search: str = quote(f"{table.name}_search")
        names = (*shape.names, POSITION)
        self.names: dict[str, str] = {name: quote(name) for name in names}
        self.sorted: dict[str, str] = {**self.names, **{name: self._beginning(name) for name in shape.cut}}
        """What stands in the index of each."""
        self.binds: dict[str, Processor] = {name: bind_of(table.c[name], dialect) for name in names}
        self._results: list[Processor] = [result_of(table.c[name], dialect) for name in names]
        self.read: str = ", ".join(self.names.values())

    def values(self, row: Sequence[Any]) -> list[Any]:
        """The values of a row that the driver gave, its position last."""
        return [
            result(value) if result and value is not None else value
            for result, value in zip(self._results, row, strict=True)
        ]

    def row(self, values: Sequence[Any]) -> Any:
        """The row of these values."""
        return self.shape.row(values[:-1])

    def key(self, value: Any) -> Any:
        """A key as the driver gave it, as a value of the row."""
        result = self._results[self.shape.names.index(self.shape.key.name)]
        return result(value) if result else value

    def comparable(self, key: Any) -> Any:
        """A key in a form that compares here as it does in the database."""
        bind = self.binds[self.shape.key.name]
        return bind(key) if bind else key

    # The statements

    def by_key(self, key: Any) -> tuple[str, tuple[Any, ...]]:
        """The row of a key."""
        statement, name = Statement(self), self.shape.key.name
        text = f"SELECT {self.read} FROM {self.table} WHERE {self.names[name]} = {statement.value(name, key)}"
        return text, tuple(statement.parameters)

    def count(self, question: Question) -> tuple[str, tuple[Any, ...]]:
        """How many rows match."""
        statement = Statement(self)
        text = f"SELECT count(*) FROM {self.table}{_where(self._matching(statement, question))}"
        return text, tuple(statement.parameters)

    def rows(
        self, question: Question, after: Sequence[Any] | None, *, limit: int, offset: int = 0
    ) -> tuple[str, tuple[Any, ...]]:
        """The rows that match, in order: from the beginning, or behind a place in it."""
        statement = Statement(self)
        matching = self._matching(statement, question)
        stretches = list(self._stretches(statement, question.order.sorts, after, counted=offset > 0))
        last = f" LIMIT {statement.plain(limit)}"
        if len(stretches) == 1:
            text = self._stretch(self.read, matching, stretches[0]) + last
            text += f" OFFSET {statement.plain(offset)}" if offset else ""
            return text, tuple(statement.parameters)
        parts = []
        for number, stretch in enumerate(stretches):
            part = self._stretch(f"{number} AS _stretch, {self.read}", matching, stretch)
            parts.append(f"SELECT * FROM ({part}{last}) AS s{number}")
        found = f"SELECT {self.read} FROM ({' UNION ALL '.join(parts)}) AS found"
        return f"{found} ORDER BY _stretch, {self._order(question.order.sorts)}{last}", tuple(statement.parameters)

    def candidates(self, question: Question, newest: int | None, limit: int) -> tuple[str, tuple[Any, ...]]:
        """
        What is to be ranked: keys, positions and the beginnings of searched texts of the newest rows that match.

        Args:
            newest: None for all; else nothing of a later position.
        """
        statement, key = Statement(self), self.names[self.shape.key.name]
        conditions = self._matching(statement, question)
        if newest is not None:
            conditions.append(f"{self.names[POSITION]} <= {statement.plain(newest)}")
        texts = [f"substr({self.names[name]}, 1, {WEIGHED})" for name in self.shape.searched]
        text = f"SELECT {', '.join([key, self.names[POSITION], *texts])} FROM {self.table}{_where(conditions)}"
        text += f" ORDER BY {self._order(question.order.sorts)} LIMIT {statement.plain(limit)}"
        return text, tuple(statement.parameters)

    # Their parts

    def _stretches(
        self, statement: Statement, sorts: Sequence[Sort], after: Sequence[Any] | None, *, counted: bool = False
    ) -> Iterator[Stretch]:
        """
        The stretches of the order that are left, one after another, each of which is a range of an index.

        One condition for all of them would be right too, and no planner knows how to use an index for it.
        """
        first, *others = sorts
        column = self.sorted[first.column]
        some = (Sort(first.column, first.descending), *others)  # where no null is
        if after is None:
            nulls = first.optional and not counted
            yield from [([f"{column} IS NOT NULL"], some), ([f"{column} IS NULL"], others)] if nulls else [([], sorts)]
            return
        if first.column in (POSITION, self.shape.key.name):
            yield [self._beyond(statement, sorts, after)], sorts
            return
        here = "NULL" if after[0] is None else statement.value(first.column, after[0])
        same = f"{column} IS NULL" if after[0] is None else f"{column} = {here}"
        for conditions, order in self._stretches(statement, others, after[1:]):
            yield [same, *conditions], order
        if after[0] is not None:
            yield [f"{column} {'<' if first.descending else '>'} {here}"], some
            if first.optional:
                yield [f"{column} IS NULL"], others

    def _beyond(self, statement: Statement, sorts: Sequence[Sort], after: Sequence[Any]) -> str:
        """Behind a place among rows that only position and key tell apart."""
        names = ", ".join(self.names[sort.column] for sort in sorts)
        values = ", ".join(statement.value(sort.column, value) for sort, value in zip(sorts, after, strict=True))
        return f"({names}) {'<' if sorts[0].descending else '>'} ({values})"

    def _stretch(self, read: str, matching: Sequence[str], stretch: Stretch) -> str:
        conditions, sorts = stretch
        return f"SELECT {read} FROM {self.table}{_where([*matching, *conditions])} ORDER BY {self._order(sorts)}"

    def _order(self, sorts: Sequence[Sort]) -> str:
        return ", ".join(
            f"{self.sorted[sort.column]} {'DESC' if sort.descending else 'ASC'}{' NULLS LAST' * sort.optional}"
            for sort in sorts
        )

    def _matching(self, statement: Statement, question: Question) -> list[str]:
        found = [self._condition(statement, condition) for condition in question.conditions]
        if question.search is not None:
            found.append(self._found(statement, question.search))
        return found

    def _condition(self, statement: Statement, condition: Condition) -> str:
        """Whether a value is as it must be: by the index, and by itself where the index holds too little of it."""
        if condition.column not in self.shape.cut:
            return self._compared(statement, self.names[condition.column], condition)
        by_index = self._compared(statement, self.sorted[condition.column], _cut(condition))
        if _is_short(condition):
            return by_index
        return f"{by_index} AND {self._compared(statement, self.names[condition.column], condition)}"

    def _compared(self, statement: Statement, name: str, condition: Condition) -> str:
        values = condition.values
        if condition.operator == "IN":
            wanted = [statement.value(condition.column, value) for value in _padded(values)]
            return f"{name} IN ({', '.join(wanted)})" if wanted else "FALSE"
        return f"{name} {condition.operator} {statement.value(condition.column, values[0])}"

    def _beginning(self, name: str) -> str:
        return f"substr({self.names[name]}, 1, {BEGINNING})"

    def _found(self, statement: Statement, search: Asked) -> str:
        """Whether a row has what a search asks for."""
        words = fts5(search) if self.is_sqlite else tsquery(search)
        if words is None:
            return "FALSE"
        asked = statement.plain(words)
        if self.is_sqlite:
            return f"{ROW} IN (SELECT rowid FROM {self.search} WHERE {self.search} MATCH {asked})"
        return f"{WORDS} @@ CAST({asked}::text AS tsquery)"


def _cut(condition: Condition) -> Condition:
    """What beginnings must be where a condition holds; enough for it where its values are shorter than those."""
    if _is_short(condition):
        return condition
    operator = {"<": "<=", ">": ">="}.get(condition.operator, condition.operator)
    return Condition(condition.column, operator, tuple(value[:BEGINNING] for value in condition.values))


def _is_short(condition: Condition) -> bool:
    return all(len(value) < BEGINNING for value in condition.values)


def _padded(values: Sequence[Any]) -> Sequence[Any]:
    """The values, the last one again until they are a power of two: few texts for lists of any length."""
    size = 1 << max(0, len(values) - 1).bit_length()
    return [*values, *repeat(values[-1], size - len(values))] if values else []


def _where(conditions: Iterable[str]) -> str:
    text = " AND ".join(conditions)
    return f" WHERE {text}" if text else ""
