"""
Read annotations: what a class was made generic over, as the `Order` of `Repository[Order]`, and what fits what.
"""

import re
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin


def arguments_of(cls: type, base: type) -> tuple[Any, ...]:
    """What *cls* or the nearest of its bases put into `base[...]`; () where nobody did."""
    for ancestor in cls.__mro__:
        for written in ancestor.__dict__.get("__orig_bases__", ()):
            if get_origin(written) is base:
                return get_args(written)
    return ()


def members_of(annotation: Any) -> tuple[type, ...]:
    """The classes that a union, an alias of one, or a single class stands for; () for Any and type variables."""
    annotation = getattr(annotation, "__value__", annotation)
    origin = get_origin(annotation)
    if origin is Annotated:
        return members_of(get_args(annotation)[0])
    if origin in (Union, UnionType):
        return tuple(member for part in get_args(annotation) for member in members_of(part))
    if annotation is Any or isinstance(annotation, TypeVar) or not isinstance(annotation, type):
        return ()
    return (annotation,)


def fits(returned: Any, named: Any) -> bool:
    """Whether a result of one type may stand for one of another; what can't be told is let pass."""
    returned, named = _plain(returned), _plain(named)
    if returned == named or Any in (returned, named) or isinstance(returned, TypeVar) or isinstance(named, TypeVar):
        return True
    if get_origin(returned) in (Union, UnionType):
        return all(fits(each, named) for each in get_args(returned))
    if get_origin(returned) is Literal:
        return all(each in get_args(named) or fits(type(each), named) for each in get_args(returned))
    if get_origin(named) in (Union, UnionType):
        return any(fits(returned, each) for each in get_args(named))
    return _is_subclass(returned, named)


def _is_subclass(returned: Any, named: Any) -> bool:
    given, wanted = get_origin(returned) or returned, get_origin(named) or named
    if not (isinstance(given, type) and isinstance(wanted, type)):
        return wanted is not Literal
    if not issubclass(given, wanted):
        return False
    parts, wanted_parts = get_args(returned), get_args(named)
    return len(parts) != len(wanted_parts) or all(map(fits, parts, wanted_parts))


def _plain(annotation: Any) -> Any:
    """Without `Annotated`, and aliases and new types as what they stand for."""
    if get_origin(annotation) is Annotated:
        return _plain(get_args(annotation)[0])
    meant = getattr(annotation, "__value__", None) or getattr(annotation, "__supertype__", None)
    if meant is not None:
        return _plain(meant)
    return NoneType if annotation is None else annotation


def snake_case(name: str) -> str:
    """`DailySales` as `daily_sales`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
