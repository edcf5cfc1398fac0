"""
Say what the columns of a row are, and store each type alike on every database.

Money is a scaled integer on SQLite and NUMERIC on PostgreSQL, times are UTC,
text sorts by code point: what goes in comes out, compares and sorts the same.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from enum import Enum
from typing import Annotated, Any, TypeAlias, TypeVar

import msgspec
from sqlalchemy import BigInteger, Date, DateTime, Dialect, Numeric, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

from diptych.codec import EPOCH, INT64

T = TypeVar("T")
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


def code_point_text() -> TypeEngine[Any]:
    """Text that sorts by code point, whatever the server's locale."""
    return Text().with_variant(Text(collation="C"), "postgresql")


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
        return microseconds(value) if dialect.name == "sqlite" else value

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
        return None if value is None else msgspec.json.encode(value).decode()

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any | None:
        """The value again."""
        return None if value is None else self._decode(value)


def microseconds(time: datetime) -> int:
    """An aware time in microseconds since 1970."""
    since = time - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
