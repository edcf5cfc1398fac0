"""
Queries: questions, and the bus that brings each to its handler.
"""

from abc import ABC, abstractmethod
from typing import Any, Generic

from typing_extensions import TypeVar

from diptych.errors import Forbidden, QueryInCommand
from diptych.handlers import Bus, Call, Resolve, chained
from diptych.log import command_under_way
from diptych.message import Message
from diptych.read.ask.scope import current_scope

R = TypeVar("R", default=Any)
T = TypeVar("T", bound="Query[Any]")


class Query(Message, Generic[R]):
    """A question; `Query[R]` names what its handler returns."""


class QueryHandler(ABC, Generic[T, R]):
    """Answers one type of query; what it depends on comes in its constructor."""

    @abstractmethod
    async def handle(self, query: T) -> R:
        """Answer, or raise why not."""


class QueryBus(Bus):
    """
    The handlers of queries.

        queries = QueryBus()

        @queries.handler
        async def orders_of(query: OrdersOf, orders: ReadModel[OrderRow]) -> PaginatedResult[OrderRow]: ...
    """

    base = Query

    def bind(self, resolve: Resolve) -> "QueryBus":
        """
        A copy for an open application, whose handlers have their dependencies.

        Raises:
            MissingDependencies: All that nobody provides, together.
        """
        bound = QueryBus(middleware=self.middleware)
        bound.handlers = self.handlers.bound(resolve)
        return bound

    async def dispatch(self, query: Query[R]) -> R:
        """
        Answer a query.

        Raises:
            NoHandler: Nobody handles its type.
            QueryInCommand: A command is being handled: it decides from its aggregate.
            Exception: What its handler raised, unchanged.
        """
        if command_under_way() is not None:
            raise QueryInCommand(type(query))
        return await self._through_middleware(query, self.handlers.call(type(query)))

    async def admit(self, query: Query[Any]) -> None:
        """
        Ask the middleware whether a question may be asked that is answered elsewhere, such as by a stream.

        Raises:
            Exception: What the middleware raised, unchanged.
        """
        await self._through_middleware(query, _nobody)

    async def _through_middleware(self, query: Query[R], call: Call) -> R:
        if self.middleware:
            call = chained(self.middleware, call)
        answer: R = await call(query)
        return answer


async def _nobody(query: Any) -> None:
    """Answers nothing; what is answered elsewhere can't be kept to some rows."""
    if current_scope():
        raise Forbidden(type(query).__name__)
