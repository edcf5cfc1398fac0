"""
Derive pydantic models from messages: what a client may send, and what it gets.

The model has the message's own fields that are not in the path, and refuses
all others: nobody sets a `command_id` from outside.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import date, datetime
from decimal import Decimal
from functools import cache, reduce
from operator import or_
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints
from uuid import UUID

from msgspec import Struct
from pydantic import BaseModel, ConfigDict, Field, create_model

from diptych.generics import arguments_of
from diptych.message import Message
from diptych.read.ask.page import PaginatedResult
from diptych.read.ask.query import Query
from diptych.write.command import Command

TIMELESS = (str, bytes, int, float, Decimal, date, UUID, NoneType)


def own_fields(message_type: type[Message]) -> Mapping[str, Any]:
    """The annotations of a message's own fields, by name."""
    kind: Any = message_type  # type checkers doubt that a class of these is hashable
    return _own_fields(kind)


@cache
def _own_fields(message_type: Any) -> Mapping[str, Any]:
    hints = get_type_hints(message_type, include_extras=True)
    late = message_type._late_fields
    return {each.name: hints[each.name] for each in fields(message_type) if each.name not in late}


def wire_name(field: str) -> str:
    """A field's name outside: `from_` is `from`."""
    return field.removesuffix("_") or field


def input_model(message_type: type[Message], in_path: frozenset[str]) -> type[BaseModel]:
    """The model of what comes in the body or the query string."""
    hints = own_fields(message_type)
    asked: dict[str, Any] = {
        each.name: (hints[each.name], _default(each))
        for each in fields(message_type)  # type: ignore[arg-type]  # every message is a dataclass
        if each.name in hints and wire_name(each.name) not in in_path
    }
    config = ConfigDict(extra="forbid", populate_by_name=False)
    return create_model(message_type.__name__, __config__=config, __doc__=message_type.__doc__, **asked)


def message_of(message_type: type[Message], model: BaseModel | None, in_path: Mapping[str, Any]) -> dict[str, Any]:
    """The fields that the client gave, by the message's names."""
    values = {} if model is None else {name: getattr(model, name) for name in model.model_fields_set}
    for name in own_fields(message_type) if in_path else ():
        if wire_name(name) in in_path:
            values[name] = in_path[wire_name(name)]
    return values


def result_type(message_type: type[Message]) -> Any:
    """What a message names as its result."""
    base = Command if issubclass(message_type, Command) else Query
    return next(iter(arguments_of(message_type, base)), Any)


def has_version(result: Any) -> bool:
    """Whether a result is one row that says its stream's version, in a field of that name."""
    alternatives = get_args(result) if get_origin(result) in {Union, UnionType} else (result,)
    rows = [each for each in alternatives if each is not NoneType]
    return bool(rows) and all(
        isinstance(row, type)
        and (is_dataclass(row) or issubclass(row, Struct))
        and get_type_hints(row).get("version") is int
        for row in rows
    )


def may_hold_a_time(kind: Any, seen: frozenset[Any] = frozenset()) -> bool:
    """Whether a value of a type may hold a time of day somewhere inside; yes where nobody can tell."""
    arguments = get_args(kind)
    if get_origin(kind) in {Annotated, Literal}:
        return get_origin(kind) is Annotated and may_hold_a_time(arguments[0], seen)
    if arguments:
        return any(may_hold_a_time(part, seen) for part in arguments if part is not Ellipsis)
    if kind in seen or not isinstance(kind, type):
        return kind not in seen and kind is not None
    if is_dataclass(kind) or issubclass(kind, Struct):
        hints = get_type_hints(kind, include_extras=True).values()
        return any(may_hold_a_time(hint, seen | {kind}) for hint in hints)
    return issubclass(kind, datetime) or not issubclass(kind, TIMELESS)


def output_model(result: Any) -> Any:
    """The type that describes a result to clients."""
    if get_origin(result) is not PaginatedResult:
        return _described(result)
    (row,) = map(_described, get_args(result))
    members: dict[str, Any] = {
        "items": (GenericAlias(list, (row,)), ...),
        "total": (int | None, ...),
        "page": (int, ...),
        "page_size": (int, ...),
        "total_pages": (int | None, ...),
        "next_cursor": (str | None, ...),
        "highlights": (list[dict[str, str]], Field(default_factory=list)),
    }
    return create_model(f"Page_{getattr(row, '__name__', 'row')}", **members)


def output(result: Any) -> Any:
    """A result as it is encoded."""
    if not isinstance(result, PaginatedResult):
        return result
    shown = {} if result.highlights is None else {"highlights": result.highlights}
    return {
        "items": result.items,
        "total": result.total,
        "page": result.page,
        "page_size": result.page_size,
        "total_pages": result.total_pages,
        "next_cursor": result.next_cursor,
        **shown,
    }


def _described(kind: Any) -> Any:
    """A type as pydantic knows it: a model in the place of each msgspec Struct."""
    if isinstance(kind, type) and issubclass(kind, Struct):
        return _model_of(kind)
    origin, arguments = get_origin(kind), tuple(map(_described, get_args(kind)))
    if origin is UnionType:
        return reduce(or_, arguments)
    return origin[arguments] if origin is not None and arguments else kind


@cache
def _model_of(struct: type[Struct]) -> type[BaseModel]:
    members: dict[str, Any] = {name: (_described(hint), ...) for name, hint in get_type_hints(struct).items()}
    return create_model(struct.__name__, __doc__=struct.__doc__, **members)


def _default(field: Any) -> Any:
    alias = wire_name(field.name) if wire_name(field.name) != field.name else None
    if field.default is not MISSING:
        return Field(field.default, alias=alias)
    if field.default_factory is not MISSING:
        return Field(default_factory=field.default_factory, alias=alias)
    return Field(..., alias=alias)
