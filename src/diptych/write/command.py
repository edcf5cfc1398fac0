"""
Say what shall be done: commands, who handles them, and the receipts that answer them.

A command has an id. The same id again gets the first accepted answer again, so
a sender that is in doubt sends once more.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Generic

import msgspec
from typing_extensions import TypeVar

from diptych.errors import BadMessage
from diptych.message import Message, new_id, now
from diptych.store.port import LogIdentity
from diptych.token import Token

R = TypeVar("R", default=Any)
T = TypeVar("T", bound="Command[Any]")


class Command(Message, Generic[R]):
    """
    An order to do something; `Command[R]` names what its handler returns, plain `Command` means Any.

        class PlaceOrder(Command[str]):
            customer_id: str

    A subclass is a frozen keyword-only dataclass. After its own fields it has a
    `command_id` and a `timestamp` (UTC), filled when absent.

    Raises:
        BadMessage: The id is no text, or the timestamp has no time zone.
    """

    _late_fields: ClassVar[dict[str, tuple[Any, Callable[[], Any]]]] = {
        "command_id": (str, new_id),
        "timestamp": (datetime, now),
    }

    if TYPE_CHECKING:
        command_id: str = field(default_factory=new_id)
        timestamp: datetime = field(default_factory=now)

    def __post_init__(self) -> None:
        """Refuse an id that is none and a naive time; a subclass that has its own calls this one."""
        if type(self.command_id) is not str or not self.command_id:
            raise BadMessage(
                f"{type(self).__name__} has the command_id {self.command_id!r}: give text that isn't empty"
            )
        if self.timestamp.tzinfo is not UTC:
            object.__setattr__(self, "timestamp", _in_utc(self))


def _in_utc(command: Command[Any]) -> datetime:
    if command.timestamp.utcoffset() is None:
        raise BadMessage(f"{type(command).__name__} has a timestamp without a time zone: use datetime.now(UTC)")
    return command.timestamp.astimezone(UTC)


class CommandHandler(ABC, Generic[T]):
    """
    Handles one type of command; what it depends on comes in its constructor.

        class PlaceOrderHandler(CommandHandler[PlaceOrder]):
            def __init__(self, orders: Repository[Order]) -> None: ...

            async def handle(self, command: PlaceOrder) -> str: ...
    """

    @abstractmethod
    async def handle(self, command: T) -> Any:
        """Do what the command says and return its result, or raise why not."""


class Receipt(msgspec.Struct, Generic[R], frozen=True):
    """
    What a command came to.

    `stream` and `version` are those of the first stream that it appended to;
    without events, those that it loaded first. `position` is that of its last
    event; without events, the head of the log. `identity` is the log's; None if
    none was used.
    """

    result: R
    stream: str = ""
    version: int = 0
    position: int = 0
    identity: LogIdentity | None = None

    @property
    def token(self) -> str:
        """The position as an opaque token, for a query that is to see it; "" without a log."""
        if self.identity is None:
            return ""
        return Token(self.position, self.stream, self.identity.log_id, self.identity.incarnation).encode()
