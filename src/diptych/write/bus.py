"""
Bring each command to its handler, once, and commit what it decided.

One command is one unit of work. A repeat, told by its id, gets the first
accepted answer and changes nothing; with another body it is refused (P5).
"""

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

from diptych.context import next_command_id
from diptych.errors import Misuse, ReadSideOnly
from diptych.handlers import Bus, Middleware, Resolve, chained
from diptych.log import EventStore, append_ids
from diptych.write.command import Command, Receipt
from diptych.write.condition import Condition
from diptych.write.execution import Contention, Execution, Way
from diptych.write.idempotency import Answers, InFlight, mark_sent, named, names_its_id
from diptych.write.unit_of_work import current_unit

R = TypeVar("R")


class Terms(NamedTuple):
    """On which terms a command is sent; see `CommandBus.execute`."""

    digest: bytes | None = None
    condition: Condition | None = None
    patience_s: float | None = None


class CommandBus(Bus):
    """
    The handlers of commands.

        commands = CommandBus()

        @commands.handler
        async def place_order(command: PlaceOrder, orders: Repository[Order]) -> str: ...

    Args:
        handlers: Plain functions to begin with.
        middleware: Wraps every dispatch, once; `call_next` gives what the handler returned.
    """

    base = Command

    def __init__(self, handlers: Iterable[Callable[..., Any]] = (), middleware: Iterable[Middleware] = ()) -> None:
        self._event_store: EventStore | None = None
        self._ways: dict[type, Way] = {}
        self._in_flight, self._contention = InFlight(), Contention()
        super().__init__(handlers, middleware)

    def register(self, message_type: type, handler: Any) -> None:
        """
        Register the handler of a command type: an object with `handle`, a class of such, or a function.

        Raises:
            HandlerExists: The type has one.
            BadHandler: It can't handle the command, returns something else than the
                command names, or something that can't be stored for a repeat.
        """
        super().register(message_type, handler)
        self._answers_of(message_type)

    def bind(self, resolve: Resolve, event_store: EventStore) -> "CommandBus":
        """
        A copy for an open application, whose handlers have their dependencies.

        Raises:
            MissingDependencies: All that nobody provides, together.
        """
        bound = CommandBus(middleware=self.middleware)
        bound.handlers, bound._event_store = self.handlers.bound(resolve), event_store
        return bound

    async def dispatch(self, command: Command[R]) -> R:
        """
        Handle a command; what its handler returned, or the first answer if it was accepted before.

        Raises:
            NoHandler: Nobody handles its type.
            WrongVersion: Other writers kept coming first.
            CommandIdReused: Its id was accepted with another body.
            NotStorable: An event or the result can't be stored; nothing was.
            Exception: What its handler raised, unchanged.
        """
        if self.middleware:
            return (await self._within_middleware(command, _PLAIN)).result
        return (await self._execute(command, _PLAIN)).result

    async def execute(
        self,
        command: Command[R],
        *,
        digest: bytes | None = None,
        condition: Condition | None = None,
        patience_s: float | None = None,
    ) -> Receipt[R]:
        """
        Handle a command like `dispatch`; a receipt that says where its events are.

        Args:
            digest: What tells whether a repeat has the same body. Default: of its type and the fields given.
            condition: The versions that its stream may be at. A repeat gets the first answer whatever it says.
            patience_s: How long it may wait for the same command, when that is being handled already.

        Raises:
            PreconditionFailed: Its stream is at none of the versions that *condition* allows.
            InProgress: The same command has been handled for longer than *patience_s*.
        """
        terms = Terms(digest, condition, patience_s)
        if self.middleware:
            return await self._within_middleware(command, terms)
        return await self._execute(command, terms)

    async def _within_middleware(self, command: Command[R], terms: Terms) -> Receipt[R]:
        receipt: Receipt[Any] = Receipt(None)  # what stands if middleware answers by itself

        async def innermost(message: Command[Any]) -> Any:
            nonlocal receipt
            receipt = await self._execute(message, terms)
            return receipt.result

        result: R = await chained(self.middleware, innermost)(command)
        return Receipt(result, receipt.stream, receipt.version, receipt.position, receipt.identity)

    async def _execute(self, command: Command[R], terms: Terms) -> Receipt[R]:
        way = self._ways.get(type(command)) or self._way_of(type(command))
        if append_ids.get() is not None and current_unit() is not None:
            raise Misuse(
                f"{type(command).__name__} was dispatched inside a command handler: a command is one unit of work, "
                "call what you need there as a function, or dispatch it afterwards"
            )
        if not names_its_id(command) and (command_id := next_command_id()) is not None:
            command = named(command, command_id)
        repeated, flying = mark_sent(command), self._in_flight
        while not flying.begin(command.command_id):
            repeated = True
            await flying.end_of(command.command_id, terms.patience_s)
        try:
            execution = Execution(command, way, self._event_store, terms.digest, terms.condition)
            return await execution.outcome(repeated=repeated)
        finally:
            flying.end(command.command_id)

    def _way_of(self, command_type: type) -> Way:
        call = self.handlers.call(command_type)
        way = self._ways[command_type] = Way(call, self._answers_of(command_type), self._contention)
        return way

    def _answers_of(self, command_type: type) -> Answers:
        return Answers(command_type, self.handlers.returns(command_type))


class NoCommands(CommandBus):
    """Stands for the commands in a process without a log: each is refused before anything of it is run."""

    async def dispatch(self, command: Command[R]) -> R:
        """
        Refuse a command.

        Raises:
            ReadSideOnly: Always.
        """
        raise ReadSideOnly(type(command).__name__)

    async def execute(
        self,
        command: Command[R],
        *,
        digest: bytes | None = None,
        condition: Condition | None = None,
        patience_s: float | None = None,
    ) -> Receipt[R]:
        """
        Refuse a command.

        Raises:
            ReadSideOnly: Always.
        """
        raise ReadSideOnly(type(command).__name__)


_PLAIN = Terms()
