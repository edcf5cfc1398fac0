"""
Say a batch of appends as the arrays that the server's function takes, and read what it returned.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from diptych.errors import WrongCategory, WrongVersion
from diptych.store.port import ANY, EXISTS, NO_STREAM, Append, Expect, Expected, Outcome, StreamEnd
from diptych.store.queue import Answer, Waiting

MAX_VERSION = 2**63 - 1
_CODES: dict[Expect, int] = {ANY: -1, EXISTS: -2, NO_STREAM: 0}
_APPENDED, _COMMAND_KNOWN, _EVENT_KNOWN, _WRONG_CATEGORY = range(4)


@dataclass(frozen=True, slots=True)
class Known:
    """An append whose answer is in the log already, and is to be read from there."""

    append: Append
    repeated: bool = True


@dataclass(frozen=True, slots=True)
class Witness:
    """
    What is in the log if the batch is, and what its answers were derived from.

    Attributes:
        positions, ids: Events, by both.
        commands: Ids of commands.
    """

    positions: tuple[int, ...] = ()
    ids: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()

    def __add__(self, other: "Witness") -> "Witness":
        return Witness(self.positions + other.positions, self.ids + other.ids, self.commands + other.commands)


Found: TypeAlias = Answer | Known


def without_repeats(batch: Sequence[Waiting]) -> Iterator[Sequence[Waiting]]:
    """The batch in parts, in order, none of which holds an id twice."""
    part: list[Waiting] = []
    seen: set[str] = set()
    for waiting in batch:
        ids = _ids(waiting.append)
        if not seen.isdisjoint(ids):
            yield part
            part, seen = [], set()
        part.append(waiting)
        seen.update(ids)
    yield part


def arrays(appends: Sequence[Append]) -> tuple[list[Any], ...]:
    """The arguments of `diptych_append` that come from the batch, in order."""
    commands = [append.command for append in appends]
    entries = [stream for append in appends for stream in append.streams]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(entry.stream for entry in entries), 1)}
    events = [
        (number, stream, event)
        for number, append in enumerate(appends, 1)
        for stream in append.streams
        for event in stream.events
    ]
    return (
        [len(append.streams) for append in appends],
        [command and command.id for command in commands],
        [command and command.digest for command in commands],
        [command and command.result for command in commands],
        [command.stream if command else "" for command in commands],
        [command.version if command else 0 for command in commands],
        list(numbers),
        [numbers[entry.stream] for entry in entries],
        [entry.category for entry in entries],
        [_code(entry.expected) for entry in entries],
        [len(entry.events) for entry in entries],
        [number for number, _, _ in events],
        [stream.stream for _, stream, _ in events],
        [stream.category for _, stream, _ in events],
        [event.type for _, _, event in events],
        [event.schema_version for _, _, event in events],
        [event.id for _, _, event in events],
        [event.payload for _, _, event in events],
        [event.metadata for _, _, event in events],
    )


def found(appends: Sequence[Append], row: Any) -> Sequence[Found]:
    """What became of each append, as the server's function tells it."""
    answers: list[Found] = []
    first = 0
    for number, append in enumerate(appends):
        answers.append(_found(append, row, number, first))
        first += len(append.streams)
    return answers


def witness_of(appends: Sequence[Append], row: Any) -> Witness:
    """What must still be there when the batch is answered."""
    statuses = row["statuses"]
    appended = [append for append, status in zip(appends, statuses, strict=True) if status == _APPENDED]
    known = [append for append, status in zip(appends, statuses, strict=True) if status == _COMMAND_KNOWN]
    commands = [append.command.id for append in (*appended[-1:], *known) if append.command]
    head = max(row["heads"])
    return Witness((head,), (row["head_id"],), tuple(commands)) if head else Witness(commands=tuple(commands))


def _found(append: Append, row: Any, number: int, first: int) -> Found:
    status = row["statuses"][number]
    if status == _APPENDED:
        return _appended(append, row, number, first)
    if status in (_COMMAND_KNOWN, _EVENT_KNOWN):
        return Known(append)
    fault: int = row["faults"][number] - 1
    refused = append.streams[fault - first]
    if status == _WRONG_CATEGORY:
        actual: str = row["wrong_categories"][number]
        return WrongCategory(stream=refused.stream, given=refused.category, actual=actual)
    expected = refused.expected.value if isinstance(refused.expected, Expect) else refused.expected
    return WrongVersion(stream=refused.stream, expected=expected, actual=row["ends"][fault])


def _appended(append: Append, row: Any, number: int, first: int) -> Found:
    ends = tuple(
        StreamEnd(stream.stream, row["ends"][entry], row["end_positions"][entry])
        for entry, stream in enumerate(append.streams, first)
    )
    command = append.command
    if command and ends:
        command = replace(command, stream=ends[0].stream, version=ends[0].version)
    elif command and command.stream:
        return Known(append, repeated=False)  # where the stream that it names ends, the log knows
    return Outcome(ends, row["heads"][number], command)


def _code(expected: Expected) -> int:
    return _CODES[expected] if isinstance(expected, Expect) else min(expected, MAX_VERSION)


def _ids(append: Append) -> set[str]:
    return {append.id, *(event.id for stream in append.streams for event in stream.events)}
