"""
Tell whether two builds of a projection come from the same code.

What is compared is the code of the projection and of everything in its own package
that it reaches: functions, classes, the constants they name. Comments and line
numbers don't count, and other packages are taken to be what they were.
"""

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from functools import cached_property
from hashlib import blake2b
from inspect import get_annotations
from types import CodeType, FunctionType
from typing import Any

_CONSTANTS = (str, bytes, int, float, Decimal, Enum, type(None))


def fingerprint(projection: Any) -> str:
    """The code of a projection, its parameters included, as a short text."""
    package = type(projection).__module__.partition(".")[0]
    parts = _Walk(package).of(projection)
    return blake2b("\n".join(parts).encode("utf-8", "surrogatepass"), digest_size=12).hexdigest()


class _Walk:
    """What is reached from somewhere, each class and function once."""

    def __init__(self, package: str) -> None:
        self._package = package
        self._seen: set[Any] = set()

    def of(self, projection: Any) -> Iterator[str]:
        """The texts that a projection comes to."""
        yield from self.parts(type(projection))
        yield from self._attributes(vars(projection))

    def parts(self, found: Any) -> Iterator[str]:
        """The texts that what was found comes to."""
        found = _unwrapped(found)
        match found:
            case FunctionType() | type():
                if self._is_new(found):
                    yield from self._function(found) if isinstance(found, FunctionType) else self._class(found)
            case dict():
                for name in sorted(found, key=repr):
                    yield repr(name)
                    yield from self.parts(found[name])
            case list() | tuple():
                for each in found:
                    yield from self.parts(each)
            case set() | frozenset():
                yield repr(sorted(map(repr, found)))
            case _ if isinstance(found, _CONSTANTS):
                yield repr(found)

    def _is_new(self, found: Any) -> bool:
        mine = str(found.__module__).partition(".")[0] == self._package
        if not mine or found in self._seen:
            return False
        self._seen.add(found)
        return True

    def _class(self, found: type) -> Iterator[str]:
        yield found.__qualname__
        yield repr(get_annotations(found))
        for base in found.__bases__:
            yield from self.parts(base)
        yield from self._attributes(vars(found))

    def _attributes(self, found: Mapping[str, Any]) -> Iterator[str]:
        """Methods of any name, and what is public; the rest is what it keeps for itself while it runs."""
        for name in sorted(found):
            if isinstance(_unwrapped(found[name]), FunctionType) or not name.startswith("_"):
                yield name
                yield from self.parts(found[name])

    def _function(self, found: FunctionType) -> Iterator[str]:
        yield from self._code(found.__code__)
        yield from self.parts(found.__defaults__ or ())
        for cell in found.__closure__ or ():
            yield from self.parts(cell.cell_contents)
        for name in _names(found.__code__):
            yield from self.parts(found.__globals__.get(name))

    def _code(self, code: CodeType) -> Iterator[str]:
        yield code.co_code.hex()
        yield repr(code.co_names)
        for constant in code.co_consts:
            yield from self._code(constant) if isinstance(constant, CodeType) else self.parts(constant)


def _unwrapped(found: Any) -> Any:
    """The function in a method of whatever kind."""
    match found:
        case staticmethod() | classmethod():
            return found.__func__
        case property():
            return found.fget
        case cached_property():
            return found.func
    return found


def _names(code: CodeType) -> Iterator[str]:
    """The names that code asks for, those of its inner functions included."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
