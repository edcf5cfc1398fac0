"""
Turn events into JSON and back, the same on every backend.

The same value in, the same event out: what JSON, this code or a database could
not give back unchanged is refused before a store is touched, with its path.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from functools import cache, lru_cache
from math import isfinite
from typing import Any
from uuid import UUID

import msgspec

from diptych.catalogue import Catalogue, names_of, upcaster
from diptych.errors import BadCatalogue, NewerSchema, NotStorable, Unreadable
from diptych.event import Event, Metadata, RawEvent, RecordedEvent, event_type
from diptych.message import new_id
from diptych.store.port import NewEvent, StoredEvent

MAX_PAYLOAD_BYTES = 1024 * 1024
MAX_METADATA_BYTES = 64 * 1024
MAX_DEPTH = 64
CHANGED = "it would not come back unchanged"
INT64 = range(-(2**63), 2**63)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
_decode_metadata = msgspec.json.Decoder(Metadata).decode
_decode_any = msgspec.json.Decoder(dict[str, Any]).decode


class Codec:
    """
    The events of one catalogue, to and from their stored form.

    Args:
        max_payload_bytes: The most that one event's JSON may take.

    Attributes:
        met_newer: Whether it ever met an event that `require` refuses: else nobody needs to ask.

    Raises:
        BadCatalogue: An event class holds a type that JSON can't give back.
    """

    def __init__(self, catalogue: Catalogue, *, max_payload_bytes: int = MAX_PAYLOAD_BYTES) -> None:
        self.catalogue = catalogue
        self.met_newer: bool = False
        self._max_payload_bytes = max_payload_bytes
        self._last_metadata: Metadata | None = None
        self._last_metadata_encoded = b""
        self._last_decoded: tuple[bytes, Metadata] | None = None
        self._decode: dict[type[Event], Callable[[bytes], Event]] = {event: _decoder(event) for event in catalogue}
        self._decode_as_it_is = {
            (name, event_type(event).version): decode
            for event, decode in self._decode.items()
            for name in names_of(event)
        }

    def encode_metadata(self, metadata: Metadata) -> bytes:
        """
        What is known of events as a store takes it, for all that are appended together.

        Raises:
            NotStorable: A value in it would not come back unchanged, or it is too large.
        """
        if metadata is self._last_metadata and not metadata.extra:
            return self._last_metadata_encoded
        try:
            encoded = _encode(metadata)
            if metadata.extra or b"\\u0000" in encoded:
                check(metadata, "metadata")
            returned = _decode_metadata(encoded)
        except (TypeError, ValueError, OverflowError) as error:
            check(metadata, "metadata")  # which tells where it is wrong
            raise NotStorable(what="metadata", path="$", why=str(error)) from error
        if returned != metadata:
            raise NotStorable(what="metadata", path=_difference(metadata, returned), why=CHANGED)
        if len(encoded) > MAX_METADATA_BYTES:
            raise NotStorable(what="metadata", path="$", why=_too_large(len(encoded), MAX_METADATA_BYTES))
        self._last_metadata, self._last_metadata_encoded = metadata, encoded
        return encoded

    def encode(self, event: Event, metadata: bytes) -> NewEvent:
        """
        An event as a store takes it, under a new id, with *metadata* from `encode_metadata`.

        Raises:
            NotStorable: A value in it would not come back unchanged, or is too large.
            BadCatalogue: Its class is not in the catalogue.
        """
        decode = self._decode.get(type(event))
        if decode is None:
            raise BadCatalogue(f"{type(event).__name__} is not in the catalogue: name it in events=[…]")
        what = type(event).__name__
        if not _is_plain(event):
            check(event, what)
        payload = self._payload(event, what)
        self._check_return(event, payload, decode, what)
        kind = event_type(type(event))
        return NewEvent(new_id(), kind.name, kind.version, payload, metadata)

    def decode(self, stored: StoredEvent) -> RecordedEvent[Any]:
        """
        A stored event as a value; its data is a `RawEvent` where the type is unknown
        or its schema version newer than this code's.

        Raises:
            Unreadable: Its payload is no JSON object or doesn't fit the class, or an upcaster failed.
        """
        try:
            data, metadata = self._data(stored), self._metadata(stored.metadata)
        except Exception as error:  # whatever an upcaster raises, too
            why = str(error) or type(error).__name__
            raise Unreadable(type=stored.type, position=stored.position, why=why) from error
        return RecordedEvent(
            stored.id,
            stored.stream,
            stored.category,
            stored.type,
            data,
            metadata,
            stored.version,
            stored.position,
            _instant(stored.recorded_at),
        )

    def require(self, event: RecordedEvent[Any]) -> None:
        """
        Insist that an event of a known type was turned into its class.

        Raises:
            NewerSchema: This code is too old for it.
        """
        if isinstance(event.data, RawEvent) and (known := self.catalogue.find(event.event_type)):
            raise NewerSchema(
                type=event.event_type,
                position=event.global_position,
                stored=event.data.schema_version,
                known=event_type(known).version,
            )

    def _payload(self, event: Event, what: str) -> bytes:
        try:
            payload = _encode(event)
        except (TypeError, ValueError, OverflowError) as error:
            raise NotStorable(what=what, path="$", why=str(error)) from error
        if len(payload) > self._max_payload_bytes:
            raise NotStorable(what=what, path="$", why=_too_large(len(payload), self._max_payload_bytes))
        return payload

    def _check_return(self, event: Event, payload: bytes, decode: Callable[[bytes], Event], what: str) -> None:
        try:
            returned = decode(payload)
        except msgspec.ValidationError as error:
            why, _, path = str(error).partition(" - at ")
            raise NotStorable(what=what, path=path.strip("`") or "$", why=why) from error
        if returned != event and not _is_same(event, returned):
            raise NotStorable(what=what, path=_difference(event, returned), why=CHANGED)

    def _metadata(self, encoded: bytes) -> Metadata:
        """Events that were appended together share theirs, unless it holds what may be changed."""
        if (last := self._last_decoded) is not None and last[0] == encoded and not last[1].extra:
            return last[1]
        metadata = _decode_metadata(encoded)
        self._last_decoded = encoded, metadata
        return metadata

    def _data(self, stored: StoredEvent) -> Any:
        as_it_is = self._decode_as_it_is.get((stored.type, stored.schema_version))
        if as_it_is is not None:
            return as_it_is(stored.payload)
        event = self.catalogue.find(stored.type)
        if event is None or stored.schema_version > event_type(event).version:
            self.met_newer = self.met_newer or event is not None
            return RawEvent(stored.type, stored.schema_version, _decode_any(stored.payload))
        return self._decode[event](_upcast(event, stored))


def _decoder(event: type[Event]) -> Callable[[bytes], Event]:
    try:
        return msgspec.json.Decoder(event).decode
    except (TypeError, NameError) as error:
        raise BadCatalogue(f"{event.__name__} can't be stored as JSON: {error}") from error


@lru_cache(maxsize=256)  # events that were appended together share it
def _instant(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)


def _upcast(event: type[Event], stored: StoredEvent) -> bytes:
    payload = _decode_any(stored.payload)
    for version in range(stored.schema_version, event_type(event).version):
        payload = upcaster(event, version)(payload)
    return _encode(payload)


def _difference(value: Any, returned: Any) -> str:
    """The path of the first field that differs."""
    for name in _field_names(value.__class__) or ():
        if not _is_same(getattr(value, name), getattr(returned, name)):
            return f"$.{name}"
    return "$"


def _too_large(is_now: int, allowed: int) -> str:
    return f"{is_now} bytes, more than {allowed} are refused"


def _is_same(value: Any, returned: Any) -> bool:
    """
    Whether two values say the same, instants seen from different time zones included.

    Python calls those unequal in the hour that a clock goes through twice (PEP 495).
    """
    if isinstance(value, datetime) and isinstance(returned, datetime):
        return value.astimezone(UTC) == returned.astimezone(UTC)
    if type(value) is not type(returned):
        return bool(value == returned)
    if (names := _field_names(value.__class__)) is not None:
        return all(_is_same(getattr(value, name), getattr(returned, name)) for name in names)
    if isinstance(value, Mapping):
        return value.keys() == returned.keys() and all(_is_same(value[key], returned[key]) for key in value)
    if isinstance(value, list | tuple):
        return len(value) == len(returned) and all(map(_is_same, value, returned))
    return bool(value == returned)


# Limits of a value, whatever its class


class _Flaw(Exception):
    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why, self.path = why, [""]


def check(value: Any, what: str) -> None:
    """
    Insist that JSON and every database can hold *value*.

    Raises:
        NotStorable: NUL, a lone surrogate, NaN or infinity, an integer beyond 64
            bits, a naive datetime, nesting over 64, or a type that JSON has no form for.
    """
    if type(value) is str and value.isascii() and "\0" not in value:
        return
    try:
        _check(value, 1)
    except _Flaw as flaw:
        raise NotStorable(what=what, path="$" + "".join(reversed(flaw.path)), why=flaw.why) from None


def _is_plain(event: Event) -> bool:
    """Whether it holds nothing but what is in bounds at a glance: most events, and quicker than `check`."""
    for value in getattr(event, "__dict__", _NOT_PLAIN).values():
        kind = type(value)
        if kind is str:
            if "\0" in value or not value.isascii():
                return False
        elif kind is int:
            if not -(2**63) <= value < 2**63:
                return False
        elif kind not in _ALWAYS_IN_BOUNDS:
            return False
    return True


def _check(value: Any, depth: int) -> None:
    by_type = _CHECKS.get(type(value))
    if by_type is not None:
        by_type(value)
    elif depth > MAX_DEPTH:
        raise _Flaw(f"nested more than {MAX_DEPTH} deep")
    else:
        _check_inside(value, depth)


def _check_inside(value: Any, depth: int) -> None:
    names = _field_names(value.__class__)
    if names is not None:
        _check_parts(((name, getattr(value, name)) for name in names), ".{}", depth)
    elif isinstance(value, Enum):
        _check(value.value, depth)
    elif isinstance(value, Mapping):
        _check_parts(((repr(key), key) for key in value), "[{}]", depth)
        _check_parts(((repr(key), part) for key, part in value.items()), "[{}]", depth)
    elif isinstance(value, list | tuple | set | frozenset):
        _check_parts(enumerate(value), "[{}]", depth)
    else:
        _check_subclass(value)


@cache
def _field_names(kind: Any) -> tuple[str, ...] | None:
    """The fields of a dataclass or Struct; None for every other class."""
    if issubclass(kind, msgspec.Struct):
        return tuple(kind.__struct_fields__)
    return tuple(field.name for field in fields(kind)) if is_dataclass(kind) else None


def _check_parts(parts: Iterable[tuple[Any, Any]], step: str, depth: int) -> None:
    for name, part in parts:
        try:
            _check(part, depth + 1)
        except _Flaw as flaw:
            flaw.path.append(step.format(name))
            raise


def _check_subclass(value: Any) -> None:
    for base, by_type in _CHECKS.items():
        if isinstance(value, base):
            return by_type(value)
    raise _Flaw(f"JSON has no form for {type(value).__name__}")


def check_text(value: str) -> None:
    """
    Insist that every database can hold a text.

    Raises:
        ValueError: NUL, or a lone surrogate.
    """
    if "\0" in value:
        raise ValueError("a NUL character")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ValueError("a lone surrogate, which is no character") from None


def _check_str(value: str) -> None:
    try:
        check_text(value)
    except ValueError as flaw:
        raise _Flaw(str(flaw)) from None


def _check_int(value: int) -> None:
    if value not in INT64:
        raise _Flaw("an integer beyond 64 bits")


def _check_float(value: float) -> None:
    if not isfinite(value):
        raise _Flaw(f"{value} is not a number that JSON has")


def _check_decimal(value: Decimal) -> None:
    if not value.is_finite():
        raise _Flaw(f"{value} is not a number that JSON has")


def _check_datetime(value: datetime) -> None:
    if value.tzinfo is None:
        raise _Flaw("a datetime without a time zone: use an aware one, datetime.now(UTC)")


def _accept(value: Any) -> None:
    """Nothing of this type can be out of bounds."""


_NOT_PLAIN = {"what has slots": object()}
_ALWAYS_IN_BOUNDS = {bool, type(None), date, time, timedelta, UUID, bytes}
_CHECKS: dict[type, Callable[[Any], None]] = {
    str: _check_str,
    bool: _accept,
    int: _check_int,
    type(None): _accept,
    Decimal: _check_decimal,
    float: _check_float,
    datetime: _check_datetime,
    date: _accept,
    time: _accept,
    timedelta: _accept,
    UUID: _accept,
    bytes: _accept,
}
