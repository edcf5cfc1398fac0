from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from typing import Annotated, Any, ClassVar, Literal

import pytest

from diptych.errors import BadHandler, HandlerExists, MissingDependencies, NoHandler
from diptych.generics import fits
from diptych.handlers import MISSING, Bus, Call
from diptych.message import Message
from diptych.write.bus import CommandBus
from diptych.write.command import Command, CommandHandler


class Mailer:
    def __init__(self, name: str = "post") -> None:
        self.name = name


class Clock:
    pass


class Send(Command[str]):
    to: str = "ann"


class Ping(Command[str]):
    pass


class Forward(Command["Later"]):
    pass


@dataclass(frozen=True)
class Later:
    text: str


class SendHandler(CommandHandler[Send]):
    def __init__(self, mailer: Mailer) -> None:
        self.mailer = mailer

    async def handle(self, command: Send) -> str:
        return f"{command.to} by {self.mailer.name}"


async def send(command: Send, mailer: Mailer) -> str:
    return f"{command.to} by {mailer.name}"


async def ping(command: Ping) -> str:
    return "pong"


def bound(bus: Bus, values: dict[Any, object]) -> Any:
    return bus.handlers.bound(lambda asked: values.get(asked, MISSING))


# Forms


@pytest.mark.parametrize("handler", [SendHandler, send])
async def test_what_a_class_or_a_function_asks_for_is_found_by_type(handler: Any) -> None:
    bus = CommandBus()
    bus.register(Send, handler)

    call = bound(bus, {Mailer: Mailer("pigeon")}).call(Send)

    assert await call(Send()) == "ann by pigeon"


async def test_an_object_made_with_its_dependencies_handles_at_once() -> None:
    bus = CommandBus()
    bus.register(Send, SendHandler(Mailer("rider")))

    assert await bus.dispatch(Send()) == "ann by rider"


async def test_a_bound_method_and_a_partial_are_functions_too() -> None:
    bus = CommandBus()
    bus.register(Send, partial(send, mailer=Mailer("rider")))
    bus.register(Ping, Service().answer)

    assert await bus.dispatch(Send()) == "ann by rider"
    assert await bus.dispatch(Ping()) == "served"


async def test_a_function_stays_plain() -> None:
    bus = CommandBus()

    assert bus.handler(ping) is ping
    assert await ping(Ping()) == "pong"
    assert await CommandBus([ping]).dispatch(Ping()) == "pong"


async def test_a_message_that_is_defined_inside_a_function_is_named() -> None:
    class Local(Command[int]):
        pass

    async def handle(command: "Local", mailer: Mailer) -> int:
        return len(mailer.name)

    bus = CommandBus()
    with pytest.raises(BadHandler, match=r"first parameter of handle can't be resolved .*@bus.handler\(TheCommand\)"):
        bus.handler(handle)
    bus.handler(Local)(handle)

    assert await bound(bus, {Mailer: Mailer("four")}).call(Local)(Local()) == 4


async def test_what_has_a_default_is_taken_where_it_is_provided() -> None:
    async def handle(command: Ping, mailer: Mailer = Mailer("default"), size=3) -> str:  # type: ignore[no-untyped-def]  # noqa: B008
        return f"{mailer.name} {size}"

    bus = CommandBus([handle])

    assert await bus.dispatch(Ping()) == "default 3"
    assert await bound(bus, {Mailer: Mailer("given")}).call(Ping)(Ping()) == "given 3"


# Refusals


def test_missing_dependencies_are_named_together() -> None:
    async def tick(command: Ping, clock: Clock, mailer: Mailer) -> str:
        return ""

    bus = CommandBus([send, tick])

    with pytest.raises(MissingDependencies) as caught:
        bound(bus, {})
    assert caught.value.missing == (
        "Mailer (asked by send: mailer)",
        "Clock (asked by tick: clock)",
        "Mailer (asked by tick: mailer)",
    )


async def test_an_unopened_bus_says_what_a_handler_lacks() -> None:
    with pytest.raises(MissingDependencies, match=r"Mailer \(asked by send: mailer\)"):
        await CommandBus([send]).dispatch(Send())


async def test_an_unknown_type_is_named() -> None:
    with pytest.raises(NoHandler, match="no handler for Send"):
        await CommandBus([ping]).dispatch(Send())


def test_a_type_has_one_handler() -> None:
    with pytest.raises(HandlerExists, match="Ping has a handler already"):
        CommandBus([ping, ping])
    with pytest.raises(HandlerExists):
        CommandBus.joined([CommandBus([ping]), CommandBus([ping])])


@pytest.mark.parametrize("handler", [lambda command: None, object(), Mailer, 7])
def test_what_is_no_handler_is_refused(handler: Any) -> None:
    with pytest.raises(BadHandler, match="can't handle Ping: give an async function"):
        CommandBus().register(Ping, handler)


@pytest.mark.parametrize("what", [Mailer, Message, "Ping", None])
def test_only_messages_of_its_kind_are_registered(what: Any) -> None:
    with pytest.raises(BadHandler, match="is no Command"):
        CommandBus().register(what, ping)


def test_a_dependency_without_a_type_is_refused() -> None:
    async def handle(command: Ping, mailer) -> str:  # type: ignore[no-untyped-def]
        return ""

    with pytest.raises(BadHandler, match="handle doesn't say what 'mailer' is"):
        CommandBus([handle])


def test_a_first_parameter_that_is_no_message_is_refused() -> None:
    async def handle(mailer: Mailer) -> str:
        return ""

    async def nothing() -> str:
        return ""

    for function in (handle, nothing):
        with pytest.raises(BadHandler, match="is no Command: annotate it with one"):
            CommandBus().handler(function)


def test_an_annotation_that_leads_nowhere_is_refused_by_name() -> None:
    async def handle(command: Ping, unknown: "Nowhere") -> str:  # type: ignore[name-defined]  # noqa: F821
        return ""

    with pytest.raises(BadHandler, match=r"annotation of handle can't be resolved .*Nowhere.*import it at run time"):
        CommandBus([handle])


# Results


async def test_a_handler_returns_what_the_message_names() -> None:
    async def wrong(command: Ping) -> int:
        return 1

    async def right(command: Forward) -> Later:
        return Later("x")

    with pytest.raises(BadHandler, match="wrong returns int, but Ping names str: make them the same"):
        CommandBus([wrong])
    assert await CommandBus([right]).dispatch(Forward()) == Later("x")


@pytest.mark.parametrize(
    ("returned", "named"),
    [
        (bool, int),
        (Any, str),
        (str, Any),
        (None, type(None)),
        (int, int | None),
        (int | None, int | str | None),
        (list[int], Sequence[int]),
        (list[bool], list[int]),
        (dict, dict[str, int]),
        (Literal["a"], str),
        (Literal["a"], Literal["a", "b"]),
        (Annotated[int, "positive"], int),
        (list[Any], list[int]),
    ],
)
def test_a_narrower_result_fits(returned: Any, named: Any) -> None:
    assert fits(returned, named)


@pytest.mark.parametrize(
    ("returned", "named"),
    [
        (int, str),
        (int | None, int),
        (None, int),
        (list[int], list[str]),
        (Sequence[int], list[int]),
        (str, Literal["a"]),
        (Literal["c"], Literal["a", "b"]),
        (Decimal, float | int),
    ],
)
def test_another_or_a_wider_result_does_not(returned: Any, named: Any) -> None:
    assert not fits(returned, named)


# Middleware


async def test_middleware_stands_around_every_dispatch_the_first_outermost() -> None:
    told: list[str] = []
    bus = CommandBus([ping], [telling("outer", told), telling("inner", told)])

    assert await bus.dispatch(Ping()) == "pong"
    assert told == ["outer begins", "inner begins", "inner got pong", "outer got pong"]


async def test_middleware_of_one_bus_leaves_the_handlers_of_others_alone() -> None:
    told: list[str] = []
    guarded = CommandBus([ping], [telling("guard", told)])
    open_to_all = CommandBus()
    open_to_all.register(Send, SendHandler(Mailer()))
    whole = CommandBus.joined([guarded, open_to_all])

    await whole.dispatch(Send())
    assert told == []
    await whole.dispatch(Ping())
    assert told == ["guard begins", "guard got pong"]


async def test_middleware_may_answer_by_itself_and_change_the_answer() -> None:
    async def short(message: Any, call_next: Call) -> Any:
        return "cached"

    async def loud(message: Any, call_next: Call) -> Any:
        return (await call_next(message)).upper()

    assert await CommandBus([ping], [short]).dispatch(Ping()) == "cached"
    assert (await CommandBus([ping], [loud]).execute(Ping())).result == "PONG"


class Service:
    word: ClassVar[str] = "served"

    async def answer(self, command: Ping) -> str:
        return self.word


def telling(name: str, told: list[str]) -> Any:
    async def tell(message: Any, call_next: Call) -> Any:
        told.append(f"{name} begins")
        result = await call_next(message)
        told.append(f"{name} got {result}")
        return result

    return tell
