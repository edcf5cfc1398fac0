"""
Check routes when they are declared: what is wrong with one is said before anybody calls it.
"""

from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from string import Formatter
from typing import Any

import msgspec

from diptych.edge.fastapi.models import own_fields, result_type, wire_name
from diptych.edge.fastapi.requests import WITH_BODY
from diptych.errors import BadMessage
from diptych.read.ask.query import Query
from diptych.write.command import Command

METHODS = frozenset({"GET", "DELETE"}) | WITH_BODY


def check_route(route: str, message: Any, location: str | None) -> None:
    """
    Refuse a route that can't work.

    Raises:
        BadMessage: What is wrong with it, and what would be right.
    """
    method, _, path = route.partition(" ")
    if method not in METHODS or not path.startswith("/"):
        raise BadMessage(f'route {route!r}: write a method, a space and a path, such as "POST /orders"')
    if not isinstance(message, type) or not issubclass(message, Command | Query):
        raise BadMessage(f"route {route!r} leads to {message!r}: name a subclass of Command or Query")
    if method == "GET" and issubclass(message, Command):
        raise BadMessage(f"route {route!r}: GET changes nothing and {message.__name__} is a command: use POST")
    own = {wire_name(name) for name in own_fields(message)}
    if unknown := names_in(path) - own:
        raise BadMessage(f"route {route!r}: {message.__name__} has no field {_listed(unknown)}; it has {_listed(own)}")
    if location is not None:
        _check_location(route, location, names_in(path), result_type(message))


def names_in(template: str) -> frozenset[str]:
    """The {names} in a path."""
    return frozenset(name for _, name, _, _ in Formatter().parse(template) if name is not None)


def _check_location(route: str, location: str, in_path: frozenset[str], result: Any) -> None:
    if result is Any:  # the handler may return anything
        return
    known = in_path | _names_of(result)
    if unknown := names_in(location) - known:
        raise BadMessage(
            f"route {route!r}: its location {location!r} names {_listed(unknown)}, "
            f"which is neither in the path nor in what the command returns; there is {_listed(known)}"
        )


def _names_of(result: Any) -> frozenset[str]:
    """What a location can be filled with from a result."""
    if is_dataclass(result):
        return frozenset(each.name for each in fields(result))
    if isinstance(result, type) and issubclass(result, msgspec.Struct):
        return frozenset(result.__struct_fields__)
    return frozenset({"result"})


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "none"
