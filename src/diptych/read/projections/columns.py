"""
Say what the columns of a row are, and store each type alike on every database.

Money is a scaled integer on SQLite and NUMERIC on PostgreSQL, times are UTC,
text sorts by code point: what goes in comes out, compares and sorts the same.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Context, Decimal
from enum import Enum
from functools import partial
from math import isfinite
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from sqlalchemy import BigInteger, Column, Date, DateTime, Dialect, Double, Numeric, Text, Time
from sqlalchemy.dialects import postgresql
from sqlalchemy.types import TypeDecorator, TypeEngine

from diptych.codec import EPOCH, INT64, check, check_text
from diptych.json_schema import schema_of
from diptych.store.names import bytes_beyond

T = TypeVar("T")
Processor: TypeAlias = Callable[[Any], Any] | None
BindAll: TypeAlias = Callable[[Sequence[Any]], Sequence[Any]]
_NUMERIC_OID = 1700  # what a driver of PostgreSQL says of a column of numbers; the others don't ask
_MICROSECOND = timedelta(microseconds=1)
DOUBTFUL = ("\\u0000", "NaN", "Infinity", "null")  # what JSON makes of values that not every database can hold
_encode_lines = msgspec.json.Encoder().encode_lines
_EXACT = Context(prec=100)  # enough for any column, whatever the caller's own context is


class Mark(Enum):
    """What a column is for."""

    KEY = "key"
    INDEXED = "indexed"
    SEARCHED = "searched"


@dataclass(frozen=True, slots=True)
class Scale:
    """How many decimal places a `Decimal` column keeps: `Annotated[Decimal, Scale(4)]`. Default 2."""

    places: int


Key: TypeAlias = Annotated[T, Mark.KEY]
"""The column that names the row; exactly one."""
Indexed: TypeAlias = Annotated[T, Mark.INDEXED]
"""A column to filter and sort by."""
Searched: TypeAlias = Annotated[T, Mark.SEARCHED]
"""A text column whose words are found by `search=`."""


class PlainText(TypeDecorator[str]):
    """
    Text that sorts by code point, whatever the server's locale; NUL and lone surrogates are refused.

    Args:
        longest: In bytes of UTF-8; None for any.
    """

    impl: type[TypeEngine[Any]] | TypeEngine[Any] = Text
    cache_ok: bool | None = True

    def __init__(self, longest: int | None = None) -> None:
        super().__init__()
        self.longest = longest

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """The C collation where there are others."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Text(collation="C"))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """The stored form."""
        if value is not None:
            check_text(value)
            if self.longest is not None and (size := bytes_beyond(value, self.longest)):
                raise ValueError(f"a text of {size:,} bytes: at most {self.longest:,} fit into an index everywhere")
        return value


class Number(TypeDecorator[float]):
    """A floating-point number; NaN and infinity are refused, which no order has a place for."""

    impl: type[TypeEngine[Any]] | TypeEngine[Any] = Double
    cache_ok: bool | None = True

    def process_bind_param(self, value: float | None, dialect: Dialect) -> float | None:
        """The stored form."""
        if value is not None and not isfinite(value):
            raise ValueError(f"{value} is no number that can be compared with others")
        return value


class Duration(TypeDecorator[timedelta]):
    """A length of time, to the microsecond."""

    impl: type[TypeEngine[Any]] | TypeEngine[Any] = BigInteger
    cache_ok: bool | None = True

    def process_bind_param(self, value: timedelta | None, dialect: Dialect) -> int | None:
        """The stored form: microseconds."""
        return None if value is None else value // _MICROSECOND

    def process_result_value(self, value: int | None, dialect: Dialect) -> timedelta | None:
        """The value again."""
        return None if value is None else timedelta(microseconds=value)


class TimeOfDay(TypeDecorator[time]):
    """A time on the clock, to the microsecond, without a time zone."""

    impl: type[TypeEngine[Any]] | TypeEngine[Any] = Time
    cache_ok: bool | None = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text that sorts by time on SQLite, a time elsewhere."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Time())

    def process_bind_param(self, value: time | None, dialect: Dialect) -> Any:
        """The stored form; with a time zone it would have no place in an order of days."""
        if value is None:
            return None
        if value.tzinfo is not None:
            raise ValueError(f"{value} has a time zone: a time of the day has none, keep a datetime instead")
        return value.isoformat("microseconds") if dialect.name == "sqlite" else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> time | None:
        """The value again."""
        return time.fromisoformat(value) if value is not None and dialect.name == "sqlite" else value


class Amount(TypeDecorator[Decimal]):
    """An exact decimal of a fixed scale. A value with more places is refused, never rounded."""

    impl: type[TypeEngine[Any]] | TypeEngine[Any] = Numeric
    cache_ok: bool | None = True

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self._unit = Decimal(1).scaleb(-scale)

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """A scaled integer on SQLite, NUMERIC elsewhere."""
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else Numeric(38, self.scale))

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> Any:
        """The stored form."""
        if value is None:
            return None
        exact = Decimal(value)
        if not exact.is_finite() or exact != _EXACT.quantize(exact, self._unit):
            raise ValueError(
                f"{exact} has more than {self.scale} decimal places: "
                "annotate the column as Annotated[Decimal, Scale(n)], or round it in evolve"
            )
        if dialect.name != "sqlite":
            return exact
        scaled = int(_EXACT.scaleb(exact, self.scale))
        if scaled not in INT64:
            raise ValueError(f"{exact} is beyond what a column of scale {self.scale} holds")
        return scaled

    def process_result_value(self, value: Any | None, dialect: Dialect) -> Decimal | None:
        """The value again."""
        if value is None or dialect.name != "sqlite":
            return value
        return _EXACT.scaleb(Decimal(value), -self.scale)


class UtcTime(TypeDecorator[datetime]):
    """An instant in UTC, to the microsecond; a naive time is refused."""

    impl: type[TypeEngine[Any]] | TypeEngine[Any] = DateTime
    cache_ok: bool | None = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Microseconds since 1970 on SQLite, a timestamp with time zone elsewhere."""
        return dialect.type_descriptor(BigInteger() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """The stored form."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"{value} has no time zone: use an aware one, datetime.now(UTC)")
        instant = value.astimezone(UTC)  # which fails where it is beyond the years that there are
        return microseconds(instant) if dialect.name == "sqlite" else instant

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """The value again."""
        if value is None:
            return None
        return EPOCH + timedelta(microseconds=value) if dialect.name == "sqlite" else value.astimezone(UTC)


class Day(TypeDecorator[date]):
    """A day of the calendar, as ISO text on SQLite."""

    impl: type[TypeEngine[Any]] | TypeEngine[Any] = Date
    cache_ok: bool | None = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text that sorts by time on SQLite, a date elsewhere."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Date())

    def process_bind_param(self, value: date | None, dialect: Dialect) -> Any:
        """The stored form; a time has no day without a time zone to see it from."""
        if isinstance(value, datetime):
            raise TypeError(f"{value!r} is a time, the column holds days: say value.date()")
        return value.isoformat() if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> date | None:
        """The value again."""
        return date.fromisoformat(value) if value is not None and dialect.name == "sqlite" else value


class ByValue(TypeDecorator[Enum]):
    """An Enum whose values are text, stored by value."""

    impl: type[TypeEngine[Any]] | TypeEngine[Any] = Text
    cache_ok: bool | None = True

    def __init__(self, kind: type[Enum]) -> None:
        super().__init__()
        self.kind = kind

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Text that sorts by code point."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else Text(collation="C"))

    def process_bind_param(self, value: Enum | None, dialect: Dialect) -> str | None:
        """The stored form; a plain value of the Enum is taken too."""
        return None if value is None else self.kind(value).value

    def process_result_value(self, value: str | None, dialect: Dialect) -> Enum | None:
        """The value again."""
        return None if value is None else self.kind(value)


class AsJson(TypeDecorator[Any]):
    """Anything that msgspec knows, as JSON text."""

    impl: type[TypeEngine[Any]] | TypeEngine[Any] = Text
    cache_ok: bool | None = True

    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.kind = kind
        self._decode: Callable[[str], Any] = msgspec.json.Decoder(kind).decode

    @property
    def _static_cache_key(self) -> Any:
        return (AsJson, repr(self.kind))

    def process_bind_param(self, value: Any | None, dialect: Dialect) -> str | None:
        """The stored form."""
        if value is None:
            return None
        text = msgspec.json.encode(value).decode()
        self._insist(text, value)
        return text

    def texts(self, values: Sequence[Any]) -> list[str] | None:
        """The stored form of values, at least one and none of them None; None where one brings line breaks."""
        lines = _encode_lines(values).decode()
        texts = lines[:-1].split("\n")
        if len(texts) != len(values):
            return None
        if any(map(lines.__contains__, DOUBTFUL)):
            for text, value in zip(texts, values, strict=True):
                self._insist(text, value)
        return texts

    def _insist(self, text: str, value: Any) -> None:
        """
        Insist that every database can hold a value whose JSON is *text*.

        Raises:
            NotStorable: It can't.
        """
        doubts = [doubt for doubt in DOUBTFUL if doubt in text]
        if doubts and not (doubts == ["null"] and self._comes_back(text, value)):
            check(value, "a row")

    def _comes_back(self, text: str, value: Any) -> bool:
        """Whether null is what it was, and no number that is none: sooner seen than by a look at every part."""
        try:
            return bool(self._decode(text) == value)
        except (msgspec.MsgspecError, ArithmeticError, TypeError, ValueError):
            return False

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any | None:
        """The value again."""
        return None if value is None else self._decode(value)


def bind_of(column: Column[Any], dialect: Dialect) -> Processor:
    """What makes a value one that the driver takes."""
    return column.type.dialect_impl(dialect).bind_processor(dialect)


def bind_all_of(column: Column[Any], dialect: Dialect) -> BindAll:
    """What does the same for many values at once."""
    bind = bind_of(column, dialect)
    if bind is None:
        return list
    if type(json := column.type.dialect_impl(dialect)) is AsJson:  # what is made of it may do otherwise
        return partial(_json_of_all, json, bind)
    return lambda values: list(map(bind, values))


def _json_of_all(type: AsJson, bind: Callable[[Any], Any], values: Sequence[Any]) -> Sequence[Any]:
    given = [value for value in values if value is not None]
    texts = type.texts(given) if given else []
    if texts is None:
        return list(map(bind, values))
    each = iter(texts)
    return [None if value is None else next(each) for value in values]


def result_of(column: Column[Any], dialect: Dialect) -> Processor:
    """What makes a value of what the driver gave."""
    return column.type.dialect_impl(dialect).result_processor(dialect, _NUMERIC_OID)


def in_words(type: TypeEngine[Any]) -> str:
    """What a column keeps, in words that are the same on every database."""
    match type:
        case Amount():
            return f"Amount({type.scale})"
        case AsJson():
            return f"JSON {msgspec.json.encode(_schema_of(type.kind), order='sorted').decode()}"
        case TypeDecorator():
            return type.__class__.__name__
    return type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]


def _schema_of(kind: Any) -> Any:
    try:
        return schema_of(kind)
    except TypeError:  # of a type that has a form of its own
        return str(kind)


def microseconds(time: datetime) -> int:
    """An aware time in microseconds since 1970."""
    since = time - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
