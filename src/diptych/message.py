"""
Make a message class out of plain annotations: frozen, keyword-only, comparable.

A subclass is a frozen dataclass as soon as it is defined. Writing
`@dataclass(frozen=True)` above it, with or without `kw_only` and `slots`,
changes nothing.
"""

import sys
from collections.abc import Callable
from dataclasses import Field, FrozenInstanceError, dataclass, field, fields
from datetime import UTC, datetime
from inspect import get_annotations
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from typing_extensions import dataclass_transform

if sys.version_info >= (3, 14):
    from uuid import uuid7
else:
    from uuid_utils import uuid7

M = TypeVar("M", bound="type[Message]")


def new_id() -> str:
    """A new UUIDv7 as text: unique, and sorted by the time it was made."""
    return str(uuid7())


def now() -> datetime:
    """The time now, in UTC and aware."""
    return datetime.now(UTC)


def given(message: "Message") -> tuple[str, ...]:
    """The fields that the caller passed, sorted; all fields where that was not remembered."""
    remembered = message.__dict__.get("_given")
    return tuple(sorted(remembered if remembered is not None else (f.name for f in fields(message))))  # type: ignore[arg-type]  # every subclass is a dataclass


@dataclass_transform(kw_only_default=True, frozen_default=True, field_specifiers=(field, Field))
class Message:
    """The base of `Command`, `Query` and `Event`; see there."""

    # Fields that the framework adds after the user's own: name -> (type, default factory).
    _late_fields: ClassVar[dict[str, tuple[Any, Callable[[], Any]]]] = {}

    # Hidden from type checkers: they would take these for permission to set anything.
    if not TYPE_CHECKING:

        def __init_subclass__(cls, **keywords: Any) -> None:
            super().__init_subclass__(**keywords)
            is_base = Message in cls.__bases__  # Command, Query and Event themselves
            already_made = "__dataclass_fields__" in cls.__dict__  # `slots=True` builds a class twice
            if not is_base and not already_made:
                _make(cls)

        def __setattr__(self, name: str, value: Any) -> None:
            raise FrozenInstanceError(f"cannot assign to field {name!r}: a {type(self).__name__} never changes")

        def __delattr__(self, name: str) -> None:
            raise FrozenInstanceError(f"cannot delete field {name!r}: a {type(self).__name__} never changes")


def _make(cls: type[Message]) -> None:
    """Turn *cls* into a frozen dataclass that stands being decorated again."""
    if cls._late_fields and not hasattr(cls, "__dataclass_fields__"):
        _add_late_fields(cls)
    docstring = cls.__doc__
    dataclass(frozen=True, kw_only=True)(cls)
    cls.__doc__ = docstring  # else the signature is published as a description
    # The guard of the base freezes; a second pass of dataclass refuses to find one here.
    for guard in ("__setattr__", "__delattr__"):
        type.__delattr__(cls, guard)
    for own in fields(cls):  # type: ignore[arg-type]  # it has just become a dataclass
        if own.name in get_annotations(cls):
            type.__setattr__(cls, own.name, _FieldAgain(own))


def _add_late_fields(cls: type[Message]) -> None:
    annotations = dict(get_annotations(cls))
    for name, (kind, factory) in cls._late_fields.items():
        annotations.setdefault(name, kind)
        if name not in cls.__dict__:
            setattr(cls, name, field(default_factory=factory))
    cls.__annotations__ = annotations
    type.__setattr__(cls, "__new__", staticmethod(_new_remembering_fields))


def _new_remembering_fields(cls: type[Message], *args: Any, **given: Any) -> Message:
    self: Message = object.__new__(cls)
    self.__dict__["_given"] = tuple(given)
    return self


class _FieldAgain:
    """Shows a second pass of dataclass the field of the first, and nothing to anybody else."""

    def __init__(self, own: Field[Any]) -> None:
        self._field = own

    def __get__(self, instance: object, owner: type) -> Field[Any]:
        if instance is None:
            return self._field
        raise AttributeError(self._field.name)
