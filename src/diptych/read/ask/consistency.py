"""
Read your own writes: answer a query no earlier than what its caller has seen.

A query that names a position waits until its own projection has applied it. The
answer says which position it was served at, and whether that is too early and
why: it is never silently stale (P7).
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from time import monotonic
from typing import Generic, TypeVar

from diptych.errors import Behind, LogRewound, NotFound
from diptych.log import EventStore
from diptych.read.ask.query import Query, QueryBus
from diptych.read.ask.versions import Versions
from diptych.read.books.wait import NEVER, Reached
from diptych.store.port import LogIdentity
from diptych.token import Token

R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Answer(Generic[R]):
    """
    What a query returned, and how fresh it is.

    Attributes:
        position: The position it was served at; None if it read no read model.
        stale: Whether that is before the position asked for; `reason` says why:
            "timeout", "faulted", "needs newer code", "rewound", "another log", "paused", "parked" or "no read model".
        token: The position as an opaque token; "" where position is None.
    """

    data: R
    position: int | None
    stale: bool = False
    reason: str | None = None
    token: str = ""


@dataclass(slots=True)
class Freshness:
    """
    What the query under way asked for, and what it was served from so far.

    `log` is whose position it is; None for that of whichever log is followed.
    """

    position: int
    deadline: float
    log: LogIdentity | None = None
    served: list[tuple[Reached, LogIdentity]] = field(default_factory=list)

    def left(self) -> float:
        """Seconds that it may still wait."""
        return max(0.0, self.deadline - monotonic())

    def worst(self) -> tuple[Reached, LogIdentity] | None:
        """What it was served from that is furthest behind, and of which log; None if it read no read model."""
        return min(self.served, key=lambda served: (not served[0].stale, served[0].position), default=None)

    def doubt(self) -> Behind | None:
        """Why something missing may be there all the same; None where it is missing for certain."""
        worst, _ = self.worst() or (None, None)
        if worst is None or not worst.stale:
            return None
        return Behind(position=worst.position, wanted=self.position, reason=worst.reason or "timeout")


_asked: ContextVar[Freshness | None] = ContextVar("diptych_freshness", default=None)


def asked() -> Freshness | None:
    """What the query under way asked for, if there is one."""
    return _asked.get()


@contextmanager
def asking(position: int, timeout_s: float, log: LogIdentity | None = None) -> Iterator[Freshness]:
    """Let every read model that is read inside wait for *position*, which is one of *log*."""
    freshness = Freshness(position, monotonic() + timeout_s, log)
    token = _asked.set(freshness)
    try:
        yield freshness
    finally:
        _asked.reset(token)


async def ask(
    queries: QueryBus, query: Query[R], *, position: int, timeout_s: float, log: LogIdentity | None = None
) -> Answer[R]:
    """
    Dispatch a query that is to see everything up to *position*.

    Args:
        log: Which log the position is of; None for whichever is followed.

    Raises:
        Behind: It found nothing, and that may be because it was served too early.
    """
    with asking(position, timeout_s, log) as freshness:
        try:
            data = await queries.dispatch(query)
        except NotFound as missing:
            raise freshness.doubt() or missing from None
    if data is None and (doubt := freshness.doubt()):
        raise doubt
    worst, log = freshness.worst() or (None, None)
    if worst is None or log is None:
        return Answer(data, None, stale=position > 0, reason="no read model" if position > 0 else None)
    token = Token(worst.position, "", log.log_id, log.incarnation).encode()
    return Answer(data, worst.position, worst.stale, worst.reason, token)


def log_of(token: Token) -> LogIdentity:
    """Which log a token belongs to."""
    return LogIdentity(token.log_id, token.incarnation)


def check_token(token: Token, logs: Collection[LogIdentity]) -> None:
    """
    Insist that a token is of one of the logs that are followed.

    Raises:
        LogRewound: It is of another log, or of one that was restored since.
    """
    if log_of(token) not in logs:
        raise LogRewound(
            who=f"position token {token.position}",
            why="it was given by another log, or before this one was restored",
            repair="drop the token and read again without it",
        )


class ConsistentQueryHandler:
    """
    Queries that see what a command just did.

        answer = await consistent.query_after_command(OrdersOf(...), position=receipt.position)
        if answer.stale: ...
    """

    def __init__(self, queries: QueryBus, event_store: EventStore) -> None:
        self._queries, self._versions = queries, Versions(event_store)

    async def query_after_command(
        self,
        query: Query[R],
        expected_version: int | None = None,
        stream_id: str | None = None,
        timeout: float = 2.0,
        *,
        position: int | None = None,
    ) -> Answer[R]:
        """
        Dispatch a query once its projection has seen a position, or a stream's version.

        Args:
            expected_version: With *stream_id*: wait for that version of it, one that isn't there yet too.
            timeout: Seconds in all; then the answer comes as it is, and says so.
            position: From a receipt; instead of a stream's version.

        Raises:
            ValueError: Neither a position nor a stream with a version was named.
            ReadSideOnly: A stream's version was named in a process without a log, which can't know where it is.
        """
        deadline = monotonic() + timeout
        if position is None:
            if stream_id is None or expected_version is None:
                raise ValueError("name a position, or a stream_id with its expected_version")
            found = await self._versions.position_of(stream_id, expected_version, timeout)
            position = NEVER if found is None else found
        return await ask(self._queries, query, position=position, timeout_s=max(0.0, deadline - monotonic()))
