"""
Every error that Diptych raises, under one tree.

    DiptychError
    ├── Refused             understood and turned down; nothing was changed
    │   ├── WrongVersion        the stream moved on since the caller read it
    │   │   └── PreconditionFailed  it is at a version that the caller excluded
    │   ├── WrongCategory       the stream belongs to another category
    │   ├── NotFound            nothing of that id exists
    │   ├── Forbidden           the policy doesn't allow it to whoever asks
    │   ├── CommandIdReused     the id was accepted before, with another body
    │   ├── NotStorable         a value that the log can't give back unchanged
    │   ├── InvalidQuery        a filter, sort, page or search that isn't declared
    │   ├── Malformed           a token or cursor that nobody here handed out
    │   ├── ReadSideOnly        this process has no log: it answers queries alone
    │   ├── NotKept             nothing that was served before is kept still
    │   ├── RebuildRefused      what was built differs from what is served
    │   ├── RebuildCancelled    somebody cancelled it
    │   ├── EventFailed         a projection that is built anew can't apply an event
    │   ├── NotStopped          the projection goes on: there is nothing to retry or skip
    │   └── LogRewound          the log was restored, or is another log
    ├── Unavailable         not now; the same call may succeed later
    │   ├── Overloaded          the queue is full
    │   ├── InProgress          a command of that id is being handled
    │   ├── OutcomeUnknown      sent, but the answer never came
    │   ├── NotServed           the read model is still being built
    │   └── Behind              what seems missing may be on its way
    ├── Unreadable          a stored event that this code can't turn into a value
    │   └── NewerSchema         it was written by newer code
    └── Misuse              the program is wrong; no retry will help
        ├── BadMessage, BadProjection, TooSlow, BadCatalogue, BadDatabase, BadFile, SchemaChanged
        └── NoHandler, HandlerExists, BadHandler, MissingDependencies, NoProjection, QueryInCommand, TwoLogs

A rule of the application is a subclass of `Refused`. Facts are attributes: nobody has to parse a message.
"""

from collections.abc import Iterable


class DiptychError(Exception):
    """The root of the tree: `except DiptychError` catches whatever Diptych raises."""


class Refused(DiptychError):
    """The request was understood and turned down; nothing was changed."""


class WrongVersion(Refused):
    """The stream moved on since the caller read it; load and decide again."""

    def __init__(self, *, stream: str, expected: int | str, actual: int) -> None:
        super().__init__(
            f"stream {stream!r} is at version {actual}, expected {expected}: "
            "another writer came first, load it again and retry"
        )
        self.stream: str = stream
        self.expected: int | str = expected
        self.actual: int = actual


class PreconditionFailed(WrongVersion):
    """The stream is at a version that the caller said it must not be at; `expected` is how they put it."""


class WrongCategory(Refused):
    """A stream belongs to one category for ever."""

    def __init__(self, *, stream: str, given: str, actual: str) -> None:
        super().__init__(
            f"stream {stream!r} belongs to category {actual!r}, not {given!r}: "
            "use its own category, or another stream id"
        )
        self.stream: str = stream
        self.given: str = given
        self.actual: str = actual


class NotFound(Refused):
    """Nothing of that id exists."""

    def __init__(self, what: str, id: object, why: str = "does not exist: check the id") -> None:
        super().__init__(f"{what} {repr(id) if isinstance(id, str) else id} {why}")
        self.what: str = what
        self.id: object = id


class Forbidden(Refused):
    """The application's policy doesn't allow this message to whoever asks."""

    def __init__(self, message: str) -> None:
        super().__init__(f"{message} is not allowed to you: ask somebody who may allow it")
        self.message = message


class CommandIdReused(Refused):
    """The id was accepted before, with another body."""

    def __init__(self, command_id: str) -> None:
        super().__init__(
            f"command id {command_id!r} was accepted before with a different body: "
            "send the same body again, or use a new id"
        )
        self.command_id = command_id


class NotStorable(Refused):
    """A value that the log can't give back unchanged; nothing was stored."""

    def __init__(self, *, what: str, path: str, why: str) -> None:
        super().__init__(f"{what} can't be stored: {why} - at {path}")
        self.what: str = what
        self.path: str = path
        self.why: str = why


class InvalidQuery(Refused):
    """A filter, sort, page or search that the read model doesn't declare."""

    allowed: tuple[str, ...]

    def __init__(self, why: str, *, allowed: Iterable[str] = ()) -> None:
        self.allowed = tuple(allowed)
        choice = f": use one of {', '.join(self.allowed)}" if self.allowed else ""
        super().__init__(f"{why}{choice}")


class Malformed(Refused):
    """A token or cursor that nobody here handed out."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(f"malformed {what}: {why}; pass it back exactly as it was given")
        self.what: str = what
        self.why: str = why


class NotStopped(Refused):
    """The projection did not stop at anything, so there is nothing to retry or to skip."""

    def __init__(self, projection: str) -> None:
        super().__init__(f"projection {projection!r} has not stopped at an event: see its status")
        self.projection: str = projection


class LogRewound(Refused):
    """A checkpoint or token names a place that is not in this log."""

    def __init__(self, *, who: str, why: str, repair: str) -> None:
        super().__init__(f"{who} does not fit this log: {why}; {repair}")
        self.who: str = who
        self.why: str = why
        self.repair: str = repair


class ReadSideOnly(Refused):
    """This process was opened without a log: it answers queries, and waits for positions."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} needs the log, and this process has only the read side (its log is 'none'): "
            "ask a process that has a log"
        )
        self.what: str = what


class NotKept(Refused):
    """Nothing that was served before the last switch is kept still: build it anew with the code of then."""


class RebuildCancelled(Refused):
    """Somebody cancelled the rebuild; what was served stays served."""


class RebuildRefused(Refused):
    """What was built differs from what is served, which stays; `verification` says where."""

    def __init__(self, projection: str, verification: object) -> None:
        super().__init__(
            f"what was built of projection {projection!r} differs from what is served, which stays: {verification}. "
            "Mend the code and rebuild; or, if the new rows are right, rebuild without the check"
        )
        self.verification: object = verification


class EventFailed(Refused):
    """A projection that is built anew, or verified, can't apply an event; its `__cause__` is what its code raised."""

    def __init__(self, *, projection: str, type: str, position: int, why: str) -> None:
        super().__init__(
            f"projection {projection!r} fails at event {type!r} at position {position}: {why}; what is served stays. "
            "Mend the code so that it can apply the event, and try again"
        )
        self.projection: str = projection
        self.type: str = type
        self.position: int = position
        self.why: str = why


# Unavailable


class Unavailable(DiptychError):
    """Not now: a database is away or the application is starting or stopping; try again."""


class Overloaded(Unavailable):
    """More work is waiting than may wait; nothing of this call was sent."""

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"{what}: {limit} are waiting already; slow down and try again")
        self.what: str = what
        self.limit: int = limit


class InProgress(Unavailable):
    """A command of that id is being handled, and took longer than this repeat of it would wait."""

    def __init__(self, command_id: str) -> None:
        super().__init__(f"command {command_id!r} is being handled: ask again soon, it happens at most once")
        self.command_id = command_id


class OutcomeUnknown(Unavailable):
    """The append was sent and may have happened: send it again with the same id."""

    def __init__(self, append_id: str) -> None:
        super().__init__(
            f"append {append_id!r} was sent but its answer never came: "
            "send it again with the same id, it happens at most once"
        )
        self.append_id = append_id


class NotServed(Unavailable):
    """The read model is still being built; nothing is served from it yet."""

    def __init__(self, projection: str, version: int) -> None:
        super().__init__(
            f"projection {projection!r} version {version} is still being built: "
            "try again shortly, its progress is in the status"
        )
        self.projection: str = projection
        self.version: int = version


class Behind(Unavailable):
    """The read model has not reached what was asked for, so nobody can say that something is missing."""

    def __init__(self, *, position: int, wanted: int, reason: str) -> None:
        super().__init__(
            f"the read model is at position {position}, {wanted} was asked for ({reason}): "
            "what seems missing may be on its way, ask again"
        )
        self.position: int = position
        self.wanted: int = wanted
        self.reason: str = reason


class Unreadable(DiptychError):
    """A stored event that this code can't turn into a value; it stays in the log."""

    def __init__(self, *, type: str, position: int, why: str) -> None:
        super().__init__(
            f"event {type!r} at position {position} can't be read: {why}; mend the class or its upcaster and retry"
        )
        self.type: str = type
        self.position: int = position
        self.why: str = why


class NewerSchema(Unreadable):
    """The event was written by newer code; this process waits for an upgrade."""

    def __init__(self, *, type: str, position: int, stored: int, known: int) -> None:
        super().__init__(type=type, position=position, why=f"schema version {stored} is newer than this code's {known}")
        self.stored: int = stored
        self.known: int = known


# Misuse


class Misuse(DiptychError):
    """The program is wrong; no retry will help."""


class BadMessage(Misuse):
    """A Command, Query or Event class, or a value of one, that can't be used."""


class BadProjection(Misuse):
    """A projection whose declaration doesn't hold together."""


class TooSlow(Misuse):
    """One event took a projection so long that the server gave its transaction up."""

    def __init__(self, took_s: float, longest_s: float) -> None:
        super().__init__(
            f"it took {took_s:.1f} s, and the server ends a transaction that lasts or is silent for {longest_s:g} s, "
            "so that a worker that was lost locks nothing: do less for an event, or do it in a Reaction"
        )
        self.took_s: float = took_s


class BadCatalogue(Misuse):
    """Event names, versions or upcasters that don't fit together."""


class SchemaChanged(Misuse):
    """Event classes are not as they are locked; `broken` tells what stored events could not survive."""

    path: str
    broken: tuple[str, ...]

    def __init__(self, *, path: str, broken: Iterable[str]) -> None:
        self.path, self.broken = path, tuple(broken)
        listed = "".join(f"\n  {problem}" for problem in self.broken)
        super().__init__(
            f"stored events could not be read any more, by {path}:{listed}"
            if self.broken
            else f"every stored event can still be read, but {path} is older than the code: write it anew and commit it"
        )


class BadDatabase(Misuse):
    """A database that can't be opened as it is: its URL, its settings or its schema."""


class BadFile(Misuse):
    """A file of a log that can't be written or read as it is."""


class NoHandler(Misuse):
    """No handler is registered for the type."""

    def __init__(self, message_type: type) -> None:
        name = getattr(message_type, "__name__", repr(message_type))
        super().__init__(
            f"no handler for {name}: decorate `async def …(message: {name})` with the bus's `handler`, "
            "or register one, before the bus is opened"
        )
        self.message_type = message_type


class HandlerExists(Misuse):
    """A type has one handler."""

    def __init__(self, message_type: type) -> None:
        super().__init__(f"{message_type.__name__} has a handler already: a type has exactly one")
        self.message_type = message_type


class BadHandler(Misuse):
    """A function or class that can't serve as a handler."""


class MissingDependencies(Misuse):
    """Handlers ask for dependencies that nobody provides."""

    missing: tuple[str, ...]

    def __init__(self, missing: Iterable[str]) -> None:
        self.missing = tuple(missing)
        super().__init__(
            f"nobody provides {'; '.join(self.missing)}: "
            "pass them as Diptych(..., provide={type: value}) or correct the annotation"
        )


class NoProjection(Misuse):
    """No projection of that name is known here."""

    name: str
    known: tuple[str, ...]

    def __init__(self, name: str, known: Iterable[str]) -> None:
        self.name, self.known = name, tuple(known)
        super().__init__(f"no projection {name!r} here: known are {', '.join(self.known) or 'none'}")


class QueryInCommand(Misuse):
    """A command decides from its aggregate, never from a read model."""

    def __init__(self, query: type) -> None:
        super().__init__(
            f"query {query.__name__} was dispatched inside a command handler: "
            "read models lag behind, decide from the aggregate instead"
        )
        self.query = query


class TwoLogs(Misuse):
    """One command commits to one log."""

    def __init__(self) -> None:
        super().__init__("one command saved to two logs: they can't commit together, split the command")
