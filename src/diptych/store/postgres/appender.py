"""
Bring a batch to the server, and find out what became of each append.

Where the answer is lost, the same batch goes the same way again: the ids tell what
was accepted. An error nobody foresaw ends the transaction of the whole batch; its
appends are then sent one at a time, and only the guilty one fails.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from diptych.errors import CommandIdReused, OutcomeUnknown, Refused, Unavailable
from diptych.store.port import Append, CommandRecord, Outcome, StreamEnd
from diptych.store.postgres.batch import Known, alone, appended_alone, found, lists
from diptych.store.postgres.connection import Line, NotConnected, Server, explain, is_away, pause
from diptych.store.queue import Answer
from diptych.store.rules import check_repeat
from diptych.store.statements import statements

_SQL = statements("postgres")
_APPEND, _APPEND_ONE, _COMMIT = _SQL["append"], _SQL["append_one"], _SQL["commit"]


@dataclass(frozen=True, slots=True)
class Sent:
    """
    What became of a batch, durably.

    Attributes:
        before, head: Where the log ended before it and behind it; 0 where that isn't known.
        connections: How many the server had when it was sent; -1 where that isn't known.
    """

    answers: Sequence[Answer]
    before: int = 0
    head: int = 0
    connections: int = -1


@dataclass(frozen=True, slots=True)
class Turn:
    """
    A batch's place in the order of batches.

    Attributes:
        event: One of its events by id; "" where it has none.
        is_over: Set when every append of it has an answer.
    """

    event: str
    is_over: asyncio.Event

    async def to_be_there(self) -> str:
        """What must be in the log before the next batch; "" when there is nothing to look for any more."""
        if not self.event:
            await self.ended()
        return "" if self.is_over.is_set() else self.event

    async def ended(self) -> None:
        """Wait until it is over."""
        await self.is_over.wait()


class Appender:
    """A connection for appends, used by one batch at a time."""

    def __init__(self, server: Server, patience_s: float) -> None:
        self._server, self._patience_s = server, patience_s
        self._patience_ms = max(1, int(patience_s * 1000 / 2))
        self._line = Line(server, patience_s)

    async def send(self, appends: Sequence[Append], *, synchronous: bool, behind: Turn | None = None) -> Sent:
        """
        Append a batch, and wait until it is durable.

        An append whose outcome can't be learned in time is answered with the error that says so;
        the time is that of the whole batch, also where its appends are sent one at a time.

        Args:
            synchronous: In one transaction: quicker for one append, and others wait for the disk meanwhile.
            behind: The turn of the batch that this one must not overtake.
        """
        return await self._sent_in_time(appends, synchronous, behind, time.monotonic() + self._patience_s)

    async def close(self) -> None:
        """Let go of the connection."""
        await self._line.close()

    async def _sent_in_time(
        self, appends: Sequence[Append], synchronous: bool, behind: Turn | None, deadline: float
    ) -> Sent:
        try:
            if time.monotonic() > deadline:  # of a batch that failed, and of which nothing is stored
                raise _GaveUp(TimeoutError("no time was left to send it alone"), in_doubt=False)
            return await self._sent_patiently(appends, synchronous, behind, deadline)
        except _GaveUp as given_up:
            return Sent([given_up.answer(append, self._server.name) for append in appends])
        except Exception as error:  # whatever it is, only the guilty append may fail for it
            if len(appends) == 1:
                return Sent([explain(error, self._server.name)])
            alone = [await self._sent_in_time([append], synchronous, behind, deadline) for append in appends]
            return Sent([sent.answers[0] for sent in alone])

    async def _sent_patiently(
        self, appends: Sequence[Append], synchronous: bool, behind: Turn | None, deadline: float
    ) -> Sent:
        in_doubt = False
        tries = 0
        while True:
            try:
                return await self._sent(appends, synchronous, behind)
            except Exception as error:
                if not is_away(error):
                    if in_doubt:  # an earlier try may be stored, whatever refuses this one
                        raise _GaveUp(error, in_doubt=True) from error
                    raise
                # A lock that was not given in time, and a connection that was not made: nothing is stored.
                in_doubt = in_doubt or not isinstance(error, asyncpg.LockNotAvailableError | NotConnected)
                if time.monotonic() > deadline:
                    raise _GaveUp(await self._with_culprit(error), in_doubt=in_doubt) from error
            await pause(tries)
            tries += 1

    async def _sent(self, appends: Sequence[Append], synchronous: bool, behind: Turn | None) -> Sent:
        connections = self._server.connections
        if synchronous and (outcome := await self._sent_alone(appends, connections)):
            return outcome
        row = await self._row_of(appends, synchronous, behind)
        answers = [
            await self._answer(each, connections) if isinstance(each, Known) else each for each in found(appends, row)
        ]
        return Sent(answers, row["before"], row["head"], connections)

    async def _row_of(self, appends: Sequence[Append], synchronous: bool, behind: Turn | None) -> Any:
        """What the server says of a batch; sent again if it came before the one that it must be behind."""
        # What is prepared may not end a transaction behind a pooler, so it is all done in one there.
        if synchronous or not self._server.prepared:
            (row,) = await self._line.fetch(_APPEND, self._patience_ms, *lists(appends))
            return row
        look, said = False, lists(appends)
        while True:
            event = await behind.to_be_there() if behind else ""
            try:
                (row,) = await self._line.fetch(_COMMIT, self._patience_ms, event, look, *said)
            except asyncpg.UniqueViolationError:  # an id is known, which is rare: only now is it looked for
                if look:
                    raise
                look = True
                continue
            if row["before"] is not None or behind is None:
                return row
            await behind.ended()

    async def _sent_alone(self, appends: Sequence[Append], connections: int) -> Sent | None:
        """What became of an append of one event; None where it is none, or something stands against it."""
        if (arguments := alone(appends)) is None:
            return None
        try:
            ((version, before),) = await self._line.fetch(_APPEND_ONE, self._patience_ms, *arguments)
        except asyncpg.UniqueViolationError:  # an id is known
            return None
        if version is None:
            return None
        return Sent([appended_alone(appends[0], version, before + 1)], before, before + 1, connections)

    async def _answer(self, what: Known, connections: int) -> Answer:
        """The first outcome of an append whose id is known, over the connections of the batch."""
        try:
            return await self._first_outcome(what.append, repeated=what.repeated)
        except CommandIdReused as refusal:
            if self._server.connections != connections:
                raise ConnectionResetError("the server that knows it may not be the one that was asked") from refusal
            return refusal
        except Refused as refusal:
            return refusal

    async def _first_outcome(self, append: Append, *, repeated: bool) -> Outcome:
        if append.command:
            rows = await self._line.fetch(_SQL["outcomes"], [append.id])
            if not rows:
                raise CommandIdReused(append.id)
            outcome = outcome_of(rows[0], repeated=repeated)
            check_repeat(outcome, append.command)
            return outcome
        events = [(stream.stream, event.id) for stream in append.streams for event in stream.events]
        rows = await self._line.fetch(_SQL["places_of_events"], [id for _, id in events])
        if [row["stream"] for row in rows] != [stream for stream, _ in events]:
            raise CommandIdReused(append.id)
        ends = {row["stream"]: StreamEnd(row["stream"], row["version"], row["position"]) for row in rows}
        return Outcome(tuple(ends.values()), rows[-1]["position"], repeated=True)

    async def _with_culprit(self, error: Exception) -> Exception:
        """The error, with the name of whoever holds the order lock if that is what it is about."""
        if not isinstance(error, asyncpg.LockNotAvailableError):
            return error
        try:
            rows = await self._line.fetch(_SQL["order_lock_holder"])
        except Exception:  # what is known already is told
            return error
        if not rows:
            return error
        holder = rows[0]
        return TimeoutError(
            f"process {holder['pid']} of the server ({holder['application_name'] or 'unnamed'}, {holder['state']}) "
            f"holds the order lock: {holder['query']}"
        )


def outcome_of(row: Any, *, repeated: bool = True) -> Outcome:
    """The first outcome of a command, as its row tells it."""
    ends = (StreamEnd(row["stream"], row["version"], row["stream_position"]),) if row["stream"] else ()
    command = CommandRecord(row["id"], row["digest"], row["result"].encode(), row["stream"], row["version"])
    return Outcome(ends, row["position"], command, repeated=repeated)


class _GaveUp(Exception):
    """No time is left; `in_doubt` where some of it may be stored all the same."""

    def __init__(self, cause: Exception, *, in_doubt: bool) -> None:
        super().__init__(str(cause))
        self.cause, self.in_doubt = cause, in_doubt

    def answer(self, append: Append, where: str) -> Exception:
        """What its caller is told."""
        error = OutcomeUnknown(append.id) if self.in_doubt else explain(self.cause, where)
        if not isinstance(error, Unavailable):
            error = Unavailable(f"the log at {where} can't be used now ({self.cause}): try again")
        error.__cause__ = self.cause
        return error
