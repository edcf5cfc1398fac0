"""
Say how events become read models.

`TableProjection` is the fast kind: a pure fold per row, applied set by set.
`TwoRoundProjection` is for rows whose key the event itself doesn't carry.
`Projection` is free-form: any statement, one event at a time. Each effect
commits together with the checkpoint, so it happens exactly once (P6).
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import fields
from functools import cached_property
from operator import attrgetter
from typing import Any, ClassVar, Generic

from sqlalchemy import CursorResult, Executable, Table
from sqlalchemy.ext.asyncio import AsyncConnection
from typing_extensions import TypeVar

from diptych.catalogue import names_of
from diptych.errors import BadProjection
from diptych.event import Event, RecordedEvent
from diptych.generics import arguments_of, members_of, snake_case
from diptych.read.projections.failure import OnFailure, Stop
from diptych.read.projections.shape import Shape

E = TypeVar("E", default=Any)
Row = TypeVar("Row", default=Any)
Memo = TypeVar("Memo", default=Any)


class AnyProjection(ABC):
    """
    What every kind has, as class attributes.

    Attributes:
        name: Default: snake_case of the class.
        version: 1, 2, …; raised when its rows change.
        on_failure: `Stop()` at an event that fails, or `Park()` the event and those of its key.
        max_lag_s: Seconds that it may lag behind the log before it is called late; None for any.
    """

    name: ClassVar[str]
    version: ClassVar[int] = 1
    partitions: ClassVar[int] = 1
    on_failure: ClassVar[OnFailure] = Stop()
    max_lag_s: ClassVar[float | None] = None

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        if "name" not in cls.__dict__:
            cls.name = snake_case(cls.__name__)

    def handles(self) -> Collection[type[Event] | str]:
        """The events it wants: classes or stored type names. Default: the members of `E`."""
        members = members_of(self._arguments()[-1])
        if not members:
            raise BadProjection(f"{type(self).__name__} doesn't say which events it handles: name them as E")
        return members

    @classmethod
    def _arguments(cls) -> tuple[Any, ...]:
        for base in (Projection, TableProjection, TwoRoundProjection):
            if found := arguments_of(cls, base):
                return found
        raise BadProjection(f"{cls.__name__} says nothing of its rows and events: write TableProjection[Row, Event]")


class Transaction:
    """The open transaction of the read database that an event's effect belongs to."""

    def __init__(self, connection: AsyncConnection, tables: Mapping[str, Table]) -> None:
        self.connection = connection
        self._tables = tables

    def table(self, name: str) -> Table:
        """
        The physical table behind a declared one, in the version being written.

        Raises:
            BadProjection: The projection declares no table of that name.
        """
        if name not in self._tables:
            raise BadProjection(f"no table {name!r} is declared: declared are {', '.join(self._tables) or 'none'}")
        return self._tables[name]

    async def execute(
        self, statement: Executable, parameters: Mapping[str, Any] | Sequence[Mapping[str, Any]] | None = None
    ) -> CursorResult[Any]:
        """Run a SQLAlchemy statement in this transaction."""
        return await self.connection.execute(statement, parameters)


class Projection(AnyProjection, Generic[E]):
    """
    A free-form projection: what a set of rows can't express, at the price of a statement per event.

    Class attributes: `tables`, SQLAlchemy tables under their logical names.
    """

    tables: ClassVar[Sequence[Table]] = ()

    @abstractmethod
    async def apply(self, event: RecordedEvent[E], tx: Transaction) -> None:
        """Write an event's effect, through *tx* only."""

    def key(self, event: RecordedEvent[E]) -> Any:
        """What its events must be applied in order by, when one of them is parked. Default: the stream."""
        return event.stream_id

    async def clear(self, tx: Transaction) -> None:
        """Empty its tables, for a version that starts over. Default: delete from each."""
        for table in self.tables:
            await tx.execute(tx.table(table.name).delete())


class TableProjection(AnyProjection, Generic[Row, E]):
    """
    A table whose rows are folds over events.

    The row of an event is found by the event's field named like the row's key,
    or by `keys`. `Row` is a frozen dataclass or msgspec Struct with marked columns, or a
    dict, described by the class attribute `table`.
    """

    table: ClassVar[Table | None] = None

    @abstractmethod
    def evolve(self, row: Row | None, event: RecordedEvent[E]) -> Row | None:
        """The row after *event*: pure. None in: there is no row yet; None out: the row goes."""

    def keys(self, event: RecordedEvent[E]) -> Iterable[Any]:
        """The keys of the rows that *event* touches."""
        return (self._key_in(event.data),)

    def initial(self, key: Any) -> Row | None:
        """What `evolve` is given for a key without a row. Default: None."""
        return None

    @classmethod
    def row_type(cls) -> Any:
        """The `Row` it was declared with."""
        return cls._arguments()[0]

    @classmethod
    def shape(cls) -> Shape:
        """The columns of its table."""
        if "_shape" not in cls.__dict__:
            cls._shape = cls._described()
        return cls._shape

    @cached_property
    def _key_in(self) -> Callable[[Any], Any]:
        return attrgetter(self.shape().key.name)

    @classmethod
    def _described(cls) -> Shape:
        if cls.table is not None:
            return Shape.of_table(cls.table, cls.name)
        return Shape.of(cls.row_type(), cls.name)

    _shape: ClassVar[Shape]


class TwoRoundProjection(AnyProjection, Generic[Memo, Row, E]):
    """
    A table whose rows are found by what was remembered of earlier events.

    A cancellation carries neither the day nor the amount of its order: round one
    folds a memo per order (`remember`), round two finds the day's row with it
    (`keys`) and folds that (`evolve`). Both rounds are set-based.
    """

    @abstractmethod
    def remember(self, memo: Memo | None, event: RecordedEvent[E]) -> Memo | None:
        """The memo after *event*: pure. None out forgets it."""

    @abstractmethod
    def keys(self, event: RecordedEvent[E], memo: Memo) -> Iterable[Any]:
        """The keys of the rows that *event* touches, given its memo: the one after it, or the last before it went."""

    @abstractmethod
    def evolve(self, row: Row | None, event: RecordedEvent[E], memo: Memo) -> Row | None:
        """The row after *event*: pure. None in: there is no row yet; None out: the row goes."""

    def memo_keys(self, event: RecordedEvent[E]) -> Iterable[Any]:
        """The key of the memo. Default: the event's field named like it."""
        return (self._key_in(event.data),)

    @classmethod
    def row_type(cls) -> Any:
        """The `Row` it was declared with."""
        return cls._arguments()[1]

    @classmethod
    def shape(cls) -> Shape:
        """The columns of the rows' table."""
        if "_shape" not in cls.__dict__:
            cls._shape = Shape.of(cls.row_type(), cls.name)
        return cls._shape

    @classmethod
    def memo_shape(cls) -> Shape:
        """The columns of the memos' table."""
        if "_memo_shape" not in cls.__dict__:
            memo = cls._arguments()[0]
            cls._memo_shape = Shape.of(memo, f"{cls.name}_{snake_case(memo.__name__)}")
        return cls._memo_shape

    @cached_property
    def _key_in(self) -> Callable[[Any], Any]:
        return attrgetter(self.memo_shape().key.name)

    _shape: ClassVar[Shape]
    _memo_shape: ClassVar[Shape]


def type_names(projection: AnyProjection) -> frozenset[str]:
    """The stored type names that a projection wants, former names included."""
    names: set[str] = set()
    for wanted in projection.handles():
        names.update((wanted,) if isinstance(wanted, str) else names_of(wanted))
    return frozenset(names)


def checked(projection: AnyProjection | type[AnyProjection]) -> AnyProjection:
    """
    An instance of a projection whose declaration holds together.

    Raises:
        BadProjection: Its rows have no key, or an event has no field of the key's name.
    """
    found = projection() if isinstance(projection, type) else projection
    found.handles()
    if found.max_lag_s is not None and not found.max_lag_s > 0:
        raise BadProjection(f"max_lag_s of {type(found).__name__} is {found.max_lag_s}: give seconds, or None")
    if isinstance(found, Projection):
        _check_free_tables(found)
    if isinstance(found, TableProjection) and type(found).keys is TableProjection.keys:
        _check_events_carry(found, found.shape().key.name, "keys(event)")
    if isinstance(found, TwoRoundProjection) and type(found).memo_keys is TwoRoundProjection.memo_keys:
        _check_events_carry(found, found.memo_shape().key.name, "memo_keys(event)")
    return found


def _check_free_tables(projection: Projection[Any]) -> None:
    for table in projection.tables:
        if table.foreign_keys:
            raise BadProjection(
                f"table {table.name!r} of {type(projection).__name__} has a foreign key, and its tables get other "
                "names in each build: leave the constraint out, nobody but the projection writes them"
            )


def _check_events_carry(projection: AnyProjection, key: str, cure: str) -> None:
    for event in projection.handles():
        if not isinstance(event, str) and key not in {field.name for field in fields(event)}:
            raise BadProjection(
                f"{event.__name__} has no field {key!r}, the key of {type(projection).__name__}'s rows: "
                f"add it, or say how the rows are found in {cure}"
            )
