"""
Commit a batch of appends in one transaction, and answer each of them.

- A refused append does not touch the others. Where an error nobody foresaw ends
  the transaction, its appends are committed one at a time: only the guilty one fails.
- While another process writes, the batch waits, then is answered `Unavailable`:
  nothing of it was stored.
- Where COMMIT itself fails, the disk may hold the batch all the same. It is sent
  again, and known by its ids if it was there; when time is up the answer is
  `OutcomeUnknown`, never a refusal.
"""

import time
from collections.abc import Sequence
from contextlib import suppress

import apsw

from diptych.errors import OutcomeUnknown, Refused
from diptych.store.location import Place
from diptych.store.port import Append
from diptych.store.queue import Answer
from diptych.store.sqlite.connection import AWAY, explain, pause
from diptych.store.sqlite.transaction import Transaction


class Committer:
    """The write connection, used by one thread at a time."""

    def __init__(self, connection: apsw.Connection, *, patience_s: float) -> None:
        self._connection = connection
        self._path = connection.filename
        self._place = Place(self._path, what="the log")
        self._patience_s = patience_s

    def commit(self, appends: Sequence[Append]) -> Sequence[Answer]:
        """Every append's outcome or error, in order; what was stored is durable."""
        try:
            return self._commit_patiently(appends)
        except _GaveUp as given_up:
            return [self._without_answer(append, given_up) for append in appends]
        except Exception as unforeseen:  # whatever it is, only the guilty append may fail for it
            if len(appends) == 1:
                return [explain(unforeseen, self._path)]
            return [answer for append in appends for answer in self.commit([append])]

    def close(self) -> None:
        """Let go of the file."""
        with suppress(apsw.Error):  # all that could fail is tidying up
            self._connection.close()

    def _commit_patiently(self, appends: Sequence[Append]) -> Sequence[Answer]:
        deadline = time.monotonic() + self._patience_s
        in_doubt = False
        tries = 0
        while True:
            try:
                return self._commit_once(appends)
            except _CommitFailed as failed:
                in_doubt, cause = True, failed.cause
            except AWAY as error:
                cause = error
            except Exception as error:
                if not in_doubt:
                    raise
                cause = error  # what was sent before may be stored all the same
            may_pass = in_doubt or isinstance(cause, apsw.BusyError)
            if not may_pass or time.monotonic() > deadline:
                raise _GaveUp(cause, in_doubt=in_doubt) from cause
            pause(tries)
            tries += 1

    def _commit_once(self, appends: Sequence[Append]) -> Sequence[Answer]:
        self._leave_transaction()
        self._place.check()
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            transaction = Transaction(self._connection)
            answers = [_answer(transaction, append) for append in appends]
        except BaseException:
            with suppress(apsw.Error):
                self._leave_transaction()
            raise
        self._end_transaction()
        return answers

    def _end_transaction(self) -> None:
        try:
            self._connection.execute("COMMIT")
        except apsw.Error as error:
            with suppress(apsw.Error):
                self._leave_transaction()
            raise _CommitFailed(error) from error

    def _leave_transaction(self) -> None:
        # Some errors end the transaction by themselves, others leave it open.
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _without_answer(self, append: Append, given_up: "_GaveUp") -> Exception:
        error = OutcomeUnknown(append.id) if given_up.in_doubt else explain(given_up.cause, self._path)
        error.__cause__ = given_up.cause
        return error


def _answer(transaction: Transaction, append: Append) -> Answer:
    try:
        return transaction.append(append)
    except Refused as refusal:
        return refusal


class _CommitFailed(Exception):
    """COMMIT failed, or it did not and only its answer was lost."""

    def __init__(self, cause: apsw.Error) -> None:
        super().__init__(str(cause))
        self.cause: Exception = cause


class _GaveUp(Exception):
    """No time is left; `in_doubt` where some of it may be stored all the same."""

    def __init__(self, cause: Exception, *, in_doubt: bool) -> None:
        super().__init__(str(cause))
        self.cause, self.in_doubt = cause, in_doubt
