"""
Say a batch of appends as the lists that the server's function takes, and read what it returned.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from msgspec.structs import replace

from diptych.errors import WrongCategory, WrongVersion
from diptych.store.port import ANY, EXISTS, NO_STREAM, Append, CommandRecord, Expect, Expected, Outcome, StreamEnd
from diptych.store.queue import Answer, Waiting

MAX_VERSION = 2**63 - 1
_DELIMITERS = (*range(0x1F, 0x1B, -1), *range(0xE000, 0xF8FF))  # of units, records, groups, files; private use
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


def lists(appends: Sequence[Append]) -> tuple[str, ...]:
    """The arguments of `diptych_append` that come from the batch, in order: the delimiter, then the lists."""
    entries = [stream for append in appends for stream in append.streams]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(entry.stream for entry in entries), 1)}
    events = [(stream, event) for stream in entries for event in stream.events]
    commands = [(number, append) for number, append in enumerate(appends, 1) if append.command]
    texts = [
        list(numbers),
        [entry.category for entry in entries],
        [stream.stream for stream, _ in events],
        [stream.category for stream, _ in events],
        [event.type for _, event in events],
        [event.id for _, event in events],
        [event.payload.decode() for _, event in events],
        [event.metadata.decode() for _, event in events],
        [append.id for _, append in commands],
        [_digest(append.command) for _, append in commands],
        [append.command.result.decode() for _, append in commands if append.command],
        [f"x{_stream_of(append)}" for _, append in commands],
    ]
    delimiter = _in_none(texts)
    streams, categories, *of_events_and_commands = [delimiter.join(each) for each in texts]
    e_streams, e_categories, types, ids, payloads, metadata, *of_commands = of_events_and_commands
    c_ids, digests, results, c_streams = of_commands
    return (
        delimiter,
        _numbers(len(append.streams) for append in appends),
        streams,
        _numbers(numbers[entry.stream] for entry in entries),
        categories,
        _numbers(_code(entry.expected) for entry in entries),
        _numbers(len(entry.events) for entry in entries),
        _numbers(
            number for number, append in enumerate(appends, 1) for stream in append.streams for _ in stream.events
        ),
        e_streams,
        e_categories,
        types,
        _numbers(event.schema_version for _, event in events),
        ids,
        payloads,
        metadata,
        _numbers(number for number, _ in commands),
        c_ids,
        digests,
        results,
        c_streams,
        _numbers(append.command.version for _, append in commands if append.command),
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


def has_written(row: Any) -> bool:
    """Whether anything of the batch was appended."""
    return _APPENDED in row["statuses"]


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


def _digest(command: CommandRecord | None) -> str:
    return "" if command is None or command.digest is None else f"x{command.digest.hex()}"


def _stream_of(append: Append) -> str:
    if append.streams:
        return append.streams[0].stream
    return append.command.stream if append.command else ""


def _numbers(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def _in_none(texts: Iterable[Sequence[str]]) -> str:
    """A character that occurs nowhere: a separator of units, or the next one that is free."""
    every = "".join(text for each in texts for text in each)
    return next(candidate for candidate in map(chr, _DELIMITERS) if candidate not in every)
