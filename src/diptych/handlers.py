"""
Register handlers by the type of their message, and give them what they depend on.

A handler is an object with `async def handle(self, message)`, a class of such
objects, or a plain async function. What a constructor or a function asks for
beside the message is found by its annotated type when an application opens.
A handler that asks for nothing can be used at once.
"""

import inspect
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import NoneType, SimpleNamespace
from typing import (
    Any,
    ClassVar,
    Self,
    TypeAlias,
    TypeVar,
    get_args,
    get_type_hints,
    overload,
)

from diptych.errors import BadHandler, HandlerExists, MissingDependencies, NoHandler
from diptych.generics import arguments_of, fits
from diptych.message import Message

Call: TypeAlias = Callable[[Any], Awaitable[Any]]
Middleware: TypeAlias = Callable[[Any, Call], Awaitable[Any]]
Resolve: TypeAlias = Callable[[Any], object]
F = TypeVar("F", bound=Callable[..., Awaitable[Any]])


class Missing:
    """What a resolver answers for a dependency that nobody provides."""


MISSING = Missing()


@dataclass(frozen=True, slots=True)
class Handler:
    """
    How messages of one type are handled.

    `make` takes the dependencies by name and gives the call; `needs` are their
    annotations by name, and `may_take` those that have a default; `returns` is
    the type of the result: what the message names, else what the handler says.
    """

    name: str
    make: Callable[..., Call]
    needs: Mapping[str, Any] = field(default_factory=dict)
    may_take: Mapping[str, Any] = field(default_factory=dict)
    returns: Any = Any


class Handlers:
    """One handler for each type of message."""

    def __init__(self) -> None:
        self._handlers: dict[type, Handler] = {}
        self._calls: dict[type, Call] = {}

    def __contains__(self, message_type: object) -> bool:
        return message_type in self._handlers

    def add(self, message_type: type, handler: Handler) -> None:
        """
        Register the handler of a type.

        Raises:
            HandlerExists: It has one.
        """
        if message_type in self._handlers:
            raise HandlerExists(message_type)
        self._handlers[message_type] = handler

    def call(self, message_type: type) -> Call:
        """
        What to call with a message.

        Raises:
            NoHandler: Nobody registered one.
            MissingDependencies: Its handler asks for some, and the application isn't open.
        """
        call = self._calls.get(message_type)
        return call if call is not None else self._made(message_type)

    def returns(self, message_type: type) -> Any:
        """The type of what a type's handler returns."""
        return self._handlers[message_type].returns

    def dependencies(self) -> list[Any]:
        """Every annotation that some handler asks for."""
        return [asked for each in self._handlers.values() for asked in (*each.needs.values(), *each.may_take.values())]

    def joined(self, others: Iterable["Handlers"]) -> "Handlers":
        """One registry of these and others."""
        whole = Handlers()
        for part in (self, *others):
            for message_type, handler in part._handlers.items():
                whole.add(message_type, handler)
        return whole

    def bound(self, resolve: Resolve) -> "Handlers":
        """
        A copy whose handlers have their dependencies.

        Raises:
            MissingDependencies: All that nobody provides, together.
        """
        copy, missing = self.joined(()), [*self._missing(resolve)]
        if missing:
            raise MissingDependencies(missing)
        for message_type, handler in self._handlers.items():
            copy._calls[message_type] = made(handler, resolve)
        return copy

    def _missing(self, resolve: Resolve) -> Iterable[str]:
        for handler in self._handlers.values():
            for name, needed in handler.needs.items():
                if resolve(needed) is MISSING:
                    yield _asked(handler, name, needed)

    def _made(self, message_type: type) -> Call:
        handler = self._handlers.get(message_type)
        if handler is None:
            raise NoHandler(message_type)
        if handler.needs:
            raise MissingDependencies(_asked(handler, name, needed) for name, needed in handler.needs.items())
        self._calls[message_type] = handler.make()
        return self._calls[message_type]


def handler_of(given: Any, message_type: type) -> Handler:
    """
    The handler that an object, a class or a function is.

    Raises:
        BadHandler: It can't be called with a message, or doesn't say what it depends on.
    """
    handle = getattr(given, "handle", None)
    if inspect.isclass(given) and inspect.iscoroutinefunction(handle):
        make: Callable[..., Any] = given
        needs, may_take = _dependencies(given.__init__)
        return Handler(given.__name__, lambda **found: make(**found).handle, needs, may_take, _returned(handle))
    if inspect.iscoroutinefunction(given):
        needs, may_take = _dependencies(given)
        return Handler(
            _name(given), lambda **found: partial(given, **found) if found else given, needs, may_take, _returned(given)
        )
    if inspect.iscoroutinefunction(handle):
        return Handler(type(given).__name__, lambda: given.handle, returns=_returned(handle))
    raise BadHandler(
        f"{given!r} can't handle {message_type.__name__}: give an async function, "
        "or an object or class with `async def handle(self, message)`"
    )


def made_of(given: Any) -> Handler:
    """
    How objects of a class are made of what its constructor depends on.

    Raises:
        BadHandler: It doesn't say what that is.
    """
    needs, may_take = _dependencies(given.__init__)
    return Handler(given.__name__, given, needs, may_take)


def made(handler: Handler, resolve: Resolve) -> Any:
    """
    What a handler makes of its dependencies.

    Raises:
        MissingDependencies: All that nobody provides, together.
    """
    missing = [_asked(handler, name, needed) for name, needed in handler.needs.items() if resolve(needed) is MISSING]
    if missing:
        raise MissingDependencies(missing)
    found = {name: resolve(asked) for name, asked in {**handler.needs, **handler.may_take}.items()}
    return handler.make(**{name: value for name, value in found.items() if value is not MISSING})


def message_type_of(function: Callable[..., Any], base: type) -> type:
    """
    The type of a function's first parameter.

    Raises:
        BadHandler: It has none that is a message.
    """
    first = next(iter(_parameters(function).values()), None)
    cure = f"annotate it with one, or name it as @bus.handler(The{base.__name__})"
    try:
        found = None if first is None else _resolved(first.annotation, function)
    except NameError as error:
        raise BadHandler(
            f"the first parameter of {_name(function)} can't be resolved ({error}): {cure}, "
            f"which a {base.__name__} defined inside a function needs"
        ) from error
    if not (inspect.isclass(found) and issubclass(found, base)):
        raise BadHandler(f"the first parameter of {_name(function)} is no {base.__name__}: {cure}")
    return found


class Bus:
    """
    What command and query buses share: a registry, and middleware around every dispatch.

    A bus is a registry: opening an application binds a copy with what its
    handlers depend on. Middleware is `async def (message, call_next)`, the
    outermost first; `await call_next(message)` gives what the handler returned.
    """

    base: ClassVar[type]

    def __init__(self, handlers: Iterable[Callable[..., Any]] = (), middleware: Iterable[Middleware] = ()) -> None:
        self.handlers: Handlers = Handlers()
        self.middleware: list[Middleware] = list(middleware)
        for function in handlers:
            self.register(message_type_of(function, self.base), function)

    def register(self, message_type: type, handler: Any) -> None:
        """
        Register the handler of a message type: an object with `handle`, a class of such, or a function.

        Raises:
            HandlerExists: The type has one.
            BadHandler: It can't handle the message, or returns something else than the message names.
        """
        if not (inspect.isclass(message_type) and issubclass(message_type, self.base)):
            raise BadHandler(f"{message_type!r} is no {self.base.__name__}: register a subclass of it")
        found, named = handler_of(handler, message_type), result_named_by(message_type, self.base)
        if not fits(found.returns, named):
            raise BadHandler(
                f"{found.name} returns {shown(found.returns)}, but {message_type.__name__} "
                f"names {shown(named)}: make them the same"
            )
        returns = found.returns if named is Any else named
        self.handlers.add(message_type, Handler(found.name, found.make, found.needs, found.may_take, returns))

    @overload
    def handler(self, given: F, /) -> F: ...

    @overload
    def handler(self, given: type[Message], /) -> Callable[[F], F]: ...

    def handler(self, given: Any, /) -> Any:
        """
        Register a plain async function, which stays plain: `@bus.handler`.

        The first parameter is the message, the others are dependencies by type.
        `@bus.handler(TheMessage)` where the annotation can't be resolved.
        """
        if isinstance(given, type):
            return partial(self._register_function, given)
        return self._register_function(message_type_of(given, self.base), given)

    def dependencies(self) -> list[Any]:
        """Every annotation that some handler asks for."""
        return self.handlers.dependencies()

    @classmethod
    def joined(cls, buses: Iterable[Self]) -> Self:
        """
        One bus of several; the middleware of each stays around its own handlers only.

        Raises:
            HandlerExists: Two of them handle one type.
        """
        whole = cls()
        for bus in buses:
            whole.handlers = whole.handlers.joined([bus.handlers])
            whole.middleware += [_only_for(bus.handlers, each) for each in bus.middleware]
        return whole

    def _register_function(self, message_type: type, function: F) -> F:
        self.register(message_type, function)
        return function


def chained(middleware: Iterable[Middleware], innermost: Call) -> Call:
    """*innermost* inside the middleware, whose first is the outermost."""
    call = innermost
    for each in reversed(list(middleware)):
        call = partial(_through, each, call)
    return call


async def _through(middleware: Middleware, call_next: Call, message: Any) -> Any:
    return await middleware(message, call_next)


def _only_for(handlers: Handlers, middleware: Middleware) -> Middleware:
    async def around_its_own(message: Any, call_next: Call) -> Any:
        return await (middleware(message, call_next) if type(message) in handlers else call_next(message))

    return around_its_own


# What annotations say


def result_named_by(message_type: type, base: type) -> Any:
    """The R of `Command[R]` or `Query[R]`; Any where none is named."""
    named = next(iter(arguments_of(message_type, base)), Any)
    try:
        return _resolved(named, message_type)
    except NameError as error:
        raise BadHandler(
            f"the result of {message_type.__name__} can't be resolved ({error}): define it before, at module level"
        ) from error


def shown(annotation: Any) -> str:
    """An annotation as its author wrote it, about."""
    return (
        annotation.__name__
        if inspect.isclass(annotation) and not get_args(annotation)
        else str(annotation).replace("typing.", "")
    )


def _dependencies(function: Callable[..., Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parameters behind the first, which is the message or `self`: those without a default, and those with."""
    needs: dict[str, Any] = {}
    may_take: dict[str, Any] = {}
    for parameter in list(_parameters(function).values())[1:]:
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            continue
        if parameter.annotation is not parameter.empty:
            found = needs if parameter.default is parameter.empty else may_take
            found[parameter.name] = _resolved_or_refused(parameter.annotation, function)
        elif parameter.default is parameter.empty:
            raise BadHandler(f"{_name(function)} doesn't say what {parameter.name!r} is: annotate it with a type")
    return needs, may_take


def _returned(function: Callable[..., Any]) -> Any:
    annotation = inspect.signature(function).return_annotation
    return Any if annotation is inspect.Signature.empty else _resolved_or_refused(annotation, function)


def _parameters(function: Callable[..., Any]) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(function).parameters


def _resolved_or_refused(annotation: Any, function: Callable[..., Any]) -> Any:
    try:
        return _resolved(annotation, function)
    except NameError as error:
        raise BadHandler(
            f"an annotation of {_name(function)} can't be resolved ({error}): "
            "define the class at module level, or import it at run time"
        ) from error


def _resolved(annotation: Any, owner: Any) -> Any:
    """One annotation alone, as the module of its function or class understands it."""
    while isinstance(owner, partial):
        owner = owner.func
    module = sys.modules.get(getattr(owner, "__module__", ""))
    known = getattr(inspect.unwrap(owner), "__globals__", None) or vars(module or object)
    found = get_type_hints(SimpleNamespace(__annotations__={"it": annotation}), dict(known), include_extras=True)
    return NoneType if found["it"] is None else found["it"]


def _name(function: Any) -> str:
    return getattr(function, "__name__", None) or repr(function)


def _asked(handler: Handler, name: str, needed: Any) -> str:
    return f"{shown(needed)} (asked by {handler.name}: {name})"
