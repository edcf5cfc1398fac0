"""
Say a batch of appends as the lists that the server's function takes, and read what it returned.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from msgspec.structs import replace

from diptych.errors import Misuse, WrongCategory, WrongVersion
from diptych.store.port import ANY, NO_STREAM, Append, CommandRecord, Expect, Expected, Outcome, StreamEnd
from diptych.store.queue import Answer, Waiting

MAX_VERSION = 2**63 - 1
_DELIMITERS = (*range(0x1F, 0x1B, -1), *range(0xE000, 0xF8FF))  # of units, records, groups, files; private use
_APPENDED, _COMMAND_KNOWN, _EVENT_KNOWN, _WRONG_CATEGORY = range(4)


@dataclass(frozen=True, slots=True)
class Known:
    """An append whose answer is in the log already, and is to be read from there."""

    append: Append
    repeated: bool = True


Found: TypeAlias = Answer | Known


def without_repeats(batch: Sequence[Waiting]) -> Iterator[Sequence[Waiting]]:
    """The batch in parts, in order, none of which holds an id twice."""
    start, seen = 0, set[str]()
    for number, waiting in enumerate(batch):
        ids = _ids(waiting.append)
        if not seen.isdisjoint(ids):
            yield batch[start:number]
            start, seen = number, set()
        seen.update(ids)
    yield batch[start:]


def alone(appends: Sequence[Append]) -> tuple[str | int | bytes | None, ...] | None:
    """The arguments of `diptych_append_one`; None where that takes no such batch: it is for one event of one append."""
    if len(appends) != 1 or len(appends[0].streams) != 1 or len(appends[0].streams[0].events) != 1:
        return None
    (append,) = appends
    (stream,) = append.streams
    (event,) = stream.events
    command = append.command
    return (
        stream.stream,
        stream.category,
        _code(stream.expected),
        event.type,
        event.schema_version,
        event.id,
        event.payload.decode(),
        event.metadata.decode(),
        *((command.id, command.digest, command.result.decode()) if command else (None, None, None)),
    )


def lists(appends: Sequence[Append]) -> tuple[str, ...]:
    """The arguments of `diptych_append` that come from the batch, in order: the delimiter, then the lists."""
    entries = [stream for append in appends for stream in append.streams]
    names = [entry.stream for entry in entries]
    streams = list(dict.fromkeys(names))
    sizes, counts = [len(append.streams) for append in appends], [len(entry.events) for entry in entries]
    events = [event for entry in entries for event in entry.events]
    commands = [append.command for append in appends if append.command]
    texts = [
        streams,
        [entry.category for entry in entries],
        _for_each_event(names, counts),
        _for_each_event([entry.category for entry in entries], counts),
        [event.type for event in events],
        [event.id for event in events],
        [command.id for command in commands],
        [_digest(command) for command in commands],
        [f"x{_stream_of(append)}" for append in appends if append.command],
    ]
    json = [
        [event.payload for event in events],
        [event.metadata for event in events],
        [command.result for command in commands],
    ]
    delimiter, joined = _joined(texts, json)
    s_streams, categories, e_streams, e_categories, types, ids, c_ids, digests, c_streams, *bodies = joined
    payloads, metadata, results = bodies
    return (
        delimiter,
        _numbers(sizes),
        s_streams,
        _places(names, streams),
        categories,
        _numbers([_code(entry.expected) for entry in entries]),
        _numbers(counts),
        _owners(counts if _are_ones(sizes) else _events_of(appends)),
        _owners(counts),
        _nths(counts),
        e_streams,
        e_categories,
        types,
        _numbers([event.schema_version for event in events]),
        ids,
        payloads,
        metadata,
        *(_places_of_commands(appends) if commands else ("", "", "")),
        c_ids,
        digests,
        results,
        c_streams,
        _numbers([command.version for command in commands]),
    )


def _for_each_event(of_entries: list[str], counts: Sequence[int]) -> list[str]:
    """What holds of an entry, for each of its events."""
    if _are_ones(counts):
        return of_entries
    return [each for each, count in zip(of_entries, counts, strict=True) for _ in range(count)]


def _events_of(appends: Sequence[Append]) -> list[int]:
    """How many events each append has."""
    return [sum(len(stream.events) for stream in append.streams) for append in appends]


def _owners(counts: Sequence[int]) -> str:
    """For each part, the number of the whole it belongs to; the wholes have so many parts."""
    if _are_ones(counts):
        return _up_to(len(counts))
    return _numbers([number for number, count in enumerate(counts, 1) for _ in range(count)])


def _nths(counts: Sequence[int]) -> str:
    """For each part, the how-manieth of its whole it is."""
    if _are_ones(counts):
        return _numbers(counts)
    return _numbers([nth for count in counts for nth in range(1, count + 1)])


def _places(names: Sequence[str], among: Sequence[str]) -> str:
    """The number of each name among those that stand once."""
    if len(names) == len(among):
        return _up_to(len(names))
    numbers = {name: number for number, name in enumerate(among, 1)}
    return _numbers([numbers[name] for name in names])


def _are_ones(counts: Sequence[int]) -> bool:
    return counts.count(1) == len(counts)


@lru_cache(maxsize=1024)
def _up_to(last: int) -> str:
    return _numbers(range(1, last + 1))


def _places_of_commands(appends: Sequence[Append]) -> tuple[str, str, str]:
    """Of each command: its append, the first entry of that, and how many events the batch has up to its end."""
    numbers, first_entries, heads = [], [], []
    entries = events = 0
    for number, (append, count) in enumerate(zip(appends, _events_of(appends), strict=True), 1):
        events += count
        if append.command:
            numbers.append(number)
            first_entries.append(entries + 1 if append.streams else 0)
            heads.append(events)
        entries += len(append.streams)
    return _numbers(numbers), _numbers(first_entries), _numbers(heads)


def appended_alone(append: Append, version: int, position: int) -> Outcome:
    """The outcome of an append of one event, which is now of this version and at this position."""
    stream = append.streams[0].stream
    command = replace(append.command, stream=stream, version=version) if append.command else None
    return Outcome((StreamEnd(stream, version, position),), position, command)


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
    if isinstance(expected, int):
        return min(expected, MAX_VERSION)
    if expected is ANY:
        return -1
    return 0 if expected is NO_STREAM else -2


def _ids(append: Append) -> Sequence[str]:
    if append.command is None and len(append.streams) == 1 and len(append.streams[0].events) == 1:
        return (append.id,)  # which is its event's
    return [append.id, *[event.id for stream in append.streams for event in stream.events]]


def _digest(command: CommandRecord | None) -> str:
    return "" if command is None or command.digest is None else f"x{command.digest.hex()}"


def _stream_of(append: Append) -> str:
    if append.streams:
        return append.streams[0].stream
    return append.command.stream if append.command else ""


def _numbers(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))


def _joined(texts: Sequence[Sequence[str]], json: Sequence[Sequence[bytes]]) -> tuple[str, list[str]]:
    """A character that occurs in none, a separator of units or the next one that is free, and each joined by it."""
    separators = sum(max(0, len(each) - 1) for each in (*texts, *json))
    for delimiter in map(chr, _DELIMITERS):
        joined = [delimiter.join(each) for each in texts]
        joined += [delimiter.encode().join(each).decode() for each in json]
        if sum(text.count(delimiter) for text in joined) == separators:
            return delimiter, joined
    raise Misuse("no character is left that the appends of a batch don't hold: append less at once")
