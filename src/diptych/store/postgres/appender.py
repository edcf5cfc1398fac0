"""
Bring a batch to the server, and find out what became of each append.

Where the answer is lost, the same batch goes the same way again: the ids tell what
was accepted. An error nobody foresaw ends the transaction of the whole batch; its
appends are then sent one at a time, and only the guilty one fails.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from diptych.errors import CommandIdReused, OutcomeUnknown, Refused, Unavailable
from diptych.store.port import Append, CommandRecord, Outcome, StreamEnd
from diptych.store.postgres.batch import Found, Known, Witness, found, has_written, lists, witness_of
from diptych.store.postgres.connection import Line, explain, is_away, pause
from diptych.store.queue import Answer
from diptych.store.rules import check_repeat
from diptych.store.statements import statements

_SQL = statements("postgres")


@dataclass(frozen=True, slots=True)
class Sent:
    """
    What became of a batch, and what must be durable before anybody is told.

    `is_durable` tells that its own commit has waited for the disk: one that wrote nothing waits for nothing.
    """

    answers: Sequence[Answer]
    witness: Witness
    is_durable: bool = False


class Appender:
    """
    The connection for appends, used by one task.

    Attributes:
        is_alone: Whether nobody else wrote between this one's last two batches.
    """

    def __init__(self, line: Line, where: str, patience_s: float) -> None:
        self._line, self._where, self._patience_s = line, where, patience_s
        self._end: int | None = None
        self.is_alone: bool = False

    async def send(self, appends: Sequence[Append], *, synchronous: bool) -> Sent:
        """
        Append a batch; *synchronous* for a commit that waits for the disk by itself.

        An append whose outcome can't be learned in time is answered with the error that says so.
        """
        try:
            return await self._sent_patiently(appends, synchronous=synchronous)
        except _GaveUp as given_up:
            return Sent([given_up.answer(append, self._where) for append in appends], Witness())
        except Exception as error:  # whatever it is, only the guilty append may fail for it
            if len(appends) == 1:
                return Sent([explain(error, self._where)], Witness())
            alone = [await self.send([append], synchronous=synchronous) for append in appends]
            return Sent([sent.answers[0] for sent in alone], sum((sent.witness for sent in alone), Witness()))

    async def close(self) -> None:
        """Let go of the connection."""
        await self._line.close()

    async def _sent_patiently(self, appends: Sequence[Append], *, synchronous: bool) -> Sent:
        deadline = time.monotonic() + self._patience_s
        in_doubt = False
        tries = 0
        while True:
            try:
                return await self._sent(appends, synchronous=synchronous)
            except Exception as error:
                if not is_away(error):
                    raise
                # A lock that was not given in time, and a connection that was not made: nothing was sent.
                in_doubt = in_doubt or not isinstance(error, asyncpg.LockNotAvailableError)
                if time.monotonic() > deadline:
                    raise _GaveUp(await self._with_culprit(error), in_doubt=in_doubt) from error
            await pause(tries)
            tries += 1

    async def _sent(self, appends: Sequence[Append], *, synchronous: bool) -> Sent:
        patience_ms = max(1, int(self._patience_s * 1000 / 2))
        (row,) = await self._line.fetch(_SQL["append"], synchronous, patience_ms, *lists(appends))
        self.is_alone = row["before"] == self._end
        self._end = max(row["heads"])
        answers = [await self._answer(each) for each in found(appends, row)]
        return Sent(answers, witness_of(appends, row), synchronous and has_written(row))

    async def _answer(self, what: Found) -> Answer:
        if not isinstance(what, Known):
            return what
        try:
            return await self._first_outcome(what.append, repeated=what.repeated)
        except Refused as refusal:
            return refusal

    async def _first_outcome(self, append: Append, *, repeated: bool) -> Outcome:
        if append.command:
            rows = await self._line.fetch(_SQL["command"], append.id)
            if not rows:
                raise CommandIdReused(append.id)
            outcome = outcome_of(append.id, rows[0], repeated=repeated)
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


def outcome_of(id: str, row: Any, *, repeated: bool = True) -> Outcome:
    """The first outcome of a command, as its row tells it."""
    ends = (StreamEnd(row["stream"], row["version"], row["stream_position"]),) if row["stream"] else ()
    command = CommandRecord(id, row["digest"], row["result"].encode(), row["stream"], row["version"])
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
