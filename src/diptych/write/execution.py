"""
Take one command to its end: accepted, answered as before, or refused.

    known already? ──► handler ──► commit (streams, id, digest and result together)
         │                │            │
         │                │            └─ another writer came first: the whole handler again
         │                └─ refused: known meanwhile? else the refusal, and nothing is stored
         └─ the first answer again
"""

import asyncio
import random
from typing import Any, NamedTuple
from weakref import WeakValueDictionary

import msgspec

from diptych.errors import CommandIdReused, NotFound, PreconditionFailed, Refused, Unavailable, WrongVersion
from diptych.handlers import Call
from diptych.log import EventStore
from diptych.store.port import Outcome
from diptych.write.command import Command, Receipt
from diptych.write.condition import Condition
from diptych.write.idempotency import Answers, digest_of, names_its_id
from diptych.write.unit_of_work import UnitOfWork

TRIES = 8
BACK_OFF_S = (0.001, 0.05)


class Contention:
    """Lets those that lost a stream to another writer try again one at a time, within this process."""

    def __init__(self) -> None:
        self._queues: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def queue(self, stream: str) -> asyncio.Lock:
        """Hold it while trying again."""
        return self._queues.setdefault(stream, asyncio.Lock())


class Way(NamedTuple):
    """What commands of one type have in common: who handles them, and how the answer is kept."""

    call: Call
    answers: Answers
    contention: Contention


class Execution(msgspec.Struct):
    """One command under way; the log is known beforehand, or by what its handler uses."""

    command: Command[Any]
    way: Way
    event_store: EventStore | None
    digest: bytes | None
    condition: Condition | None = None

    async def outcome(self, *, repeated: bool) -> Receipt[Any]:
        """
        The command's receipt, the first one if it was accepted before.

        Args:
            repeated: Whether it may have been sent before although its caller gave no id.
        """
        if self.event_store is not None and (first := await self._first_answer(repeated)):
            return first
        try:
            unit = self._unit()
            try:
                return await self._try(unit)
            except WrongVersion as lost:
                if unit.names_version or isinstance(lost, PreconditionFailed):
                    raise
                return await self._accepted_after(lost)
        except Unavailable:
            raise
        except Exception:
            # A repeat may have been accepted meanwhile, and what refused this one is its outcome.
            if first := await self._first_answer(repeated):
                return first
            raise

    async def _accepted_after(self, lost: WrongVersion) -> Receipt[Any]:
        """Run the whole handler again in a new unit, as long as it follows the stream that it lost."""
        async with self.way.contention.queue(lost.stream):
            for tried in range(1, TRIES):
                await asyncio.sleep(random.uniform(BACK_OFF_S[0], min(BACK_OFF_S[1], BACK_OFF_S[0] * 2**tried)))
                unit = self._unit()
                try:
                    return await self._try(unit)
                except WrongVersion as conflict:
                    is_final = unit.names_version or isinstance(conflict, PreconditionFailed)
                    if is_final or (conflict.stream, conflict.expected) == (lost.stream, lost.expected):
                        raise
                    lost = conflict
        raise lost

    async def _try(self, unit: UnitOfWork) -> Receipt[Any]:
        begun = unit.begin()
        try:
            result = await self.way.call(self.command)
        except Refused as refusal:
            await unit.prove()
            if not isinstance(refusal, NotFound):
                await unit.insist()  # a rule that a stale view runs into isn't what its sender has to hear
            raise
        finally:
            unit.end(begun)
            self.event_store = unit.event_store
        if self.event_store is None:
            return Receipt(result)
        outcome = await unit.commit(self.event_store, result=self.way.answers.encode(result))
        return self._answer(outcome) if outcome.repeated else self._receipt(outcome, result)

    def _unit(self) -> UnitOfWork:
        return UnitOfWork.begun(self.command.command_id, self.event_store, self._digest_of_command, self.condition)

    def _digest_of_command(self) -> bytes:
        self.digest = self.digest or digest_of(self.command)
        return self.digest

    async def _first_answer(self, repeated: bool) -> Receipt[Any] | None:
        """The answer to a command that was accepted before; None where it can't have been, or wasn't."""
        if self.event_store is None or not (repeated or names_its_id(self.command)):
            return None
        outcome = await self.event_store.command(self.command.command_id)
        if outcome is None or outcome.command is None:
            return None
        if outcome.command.digest not in {None, self._digest_of_command()}:
            raise CommandIdReused(self.command.command_id)
        return self._answer(outcome)

    def _answer(self, outcome: Outcome) -> Receipt[Any]:
        stored = outcome.command.result if outcome.command else b"null"
        return self._receipt(outcome, self.way.answers.decode(stored))

    def _receipt(self, outcome: Outcome, result: Any) -> Receipt[Any]:
        stream, version = (outcome.ends[0].stream, outcome.ends[0].version) if outcome.ends else ("", 0)
        identity = self.event_store.identity if self.event_store else None
        return Receipt(result, stream, version, outcome.position, identity)
