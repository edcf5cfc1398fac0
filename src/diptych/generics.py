"""Read what a class was made generic over: the `Order` of `Repository[Order]`, the `E` of `Aggregate[E]`."""

import re
from types import UnionType
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin


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


def snake_case(name: str) -> str:
    """`DailySales` as `daily_sales`."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()
