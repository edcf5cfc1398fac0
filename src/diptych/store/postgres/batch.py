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
    streams = {name: number for number, name in enumerate(dict.fromkeys(entry.stream for entry in entries), 1)}
    events = [(stream, event) for stream in entries for event in stream.events]
    commands = [(number, append.command) for number, append in enumerate(appends, 1) if append.command]
    texts = [
        list(streams),
        [entry.category for entry in entries],
        [stream.stream for stream, _ in events],
        [stream.category for stream, _ in events],
        [event.type for _, event in events],
        [event.id for _, event in events],
        [event.payload.decode() for _, event in events],
        [event.metadata.decode() for _, event in events],
        [command.id for _, command in commands],
        [_digest(command) for _, command in commands],
        [command.result.decode() for _, command in commands],
        [f"x{_stream_of(appends[number - 1])}" for number, _ in commands],
    ]
    delimiter = _in_none(texts)
    s_streams, categories, *of_events_and_commands = [delimiter.join(each) for each in texts]
    e_streams, e_categories, types, ids, payloads, metadata, *of_commands = of_events_and_commands
    c_ids, digests, results, c_streams = of_commands
    return (
        delimiter,
        _numbers(len(append.streams) for append in appends),
        s_streams,
        _numbers(streams[entry.stream] for entry in entries),
        categories,
        _numbers(_code(entry.expected) for entry in entries),
        _numbers(len(entry.events) for entry in entries),
        _numbers(
            number for number, append in enumerate(appends, 1) for stream in append.streams for _ in stream.events
        ),
        _numbers(number for number, entry in enumerate(entries, 1) for _ in entry.events),
        _numbers(nth for entry in entries for nth in range(1, len(entry.events) + 1)),
        e_streams,
        e_categories,
        types,
        _numbers(event.schema_version for _, event in events),
        ids,
        payloads,
        metadata,
        *_places_of(commands, appends),
        c_ids,
        digests,
        results,
        c_streams,
        _numbers(command.version for _, command in commands),
    )


def _places_of(commands: Sequence[tuple[int, CommandRecord]], appends: Sequence[Append]) -> tuple[str, str, str]:
    """Of each command: its append, the first entry of that, and how many events the batch has up to its end."""
    if not commands:
        return "", "", ""
    first_entries, heads = [], []
    entries = events = 0
    for append in appends:
        first_entries.append(entries + 1 if append.streams else 0)
        entries += len(append.streams)
        events += sum(len(stream.events) for stream in append.streams)
        heads.append(events)
    numbers = [number for number, _ in commands]
    return (
        _numbers(numbers),
        _numbers(first_entries[number - 1] for number in numbers),
        _numbers(heads[number - 1] for number in numbers),
    )


def found(appends: Sequence[Append], row: Any) -> Sequence[Found]:
    """What became of each append, as the server's function tells it."""
    if row["statuses"] is None:
        return list(_all_appended(appends, row["before"], row["versions"]))
    answers: list[Found] = []
    first = 0
    for number, append in enumerate(appends):
        answers.append(_found(append, row, number, first))
        first += len(append.streams)
    return answers


def _all_appended(appends: Sequence[Append], head: int, versions: Sequence[int] | None) -> Iterator[Found]:
    """The outcomes of a batch that was appended as one, behind *head*, to streams of these versions."""
    before = iter(versions or ())
    for append in appends:
        ends = []
        for stream in append.streams:
            head += len(stream.events)
            ends.append(StreamEnd(stream.stream, next(before) + len(stream.events), head))
        yield _outcome(append, tuple(ends), head)


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
    return _outcome(append, ends, row["heads"][number])


def _outcome(append: Append, ends: tuple[StreamEnd, ...], head: int) -> Found:
    command = append.command
    if command and ends:
        command = replace(command, stream=ends[0].stream, version=ends[0].version)
    elif command and command.stream:
        return Known(append, repeated=False)  # where the stream that it names ends, the log knows
    return Outcome(ends, head, command)


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
