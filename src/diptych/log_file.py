"""
Say a log in lines of JSON: first which log it is, then its events by position, its commands by id, and their numbers.

A line is an object; its field `is` says which of these. JSON that a store holds stands in it as it is, byte by byte.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar, TypeAlias

import msgspec
from msgspec.structs import asdict

from diptych.codec import EPOCH
from diptych.errors import BadFile
from diptych.store.names import LONGEST_NAME, bytes_beyond
from diptych.store.port import LogIdentity, StoredCommand, StoredEvent

FORMAT = 1
LONGEST_HEAD = 64 * 1024
LAST_POSITION = 2**63 - 2  # the next one is a number, too
LAST_TIME = (datetime.max.replace(tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)


class LogLine(msgspec.Struct, frozen=True, tag_field="is", tag="log"):
    """The log that a file holds, up to a position; the first line."""

    format: int
    log_id: str
    incarnation: int
    through: int
    size: ClassVar[int] = 0

    @property
    def identity(self) -> LogIdentity:
        """Which log it is."""
        return LogIdentity(self.log_id, self.incarnation)


class EventLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="is", tag="event"):
    """An event as it lies in the log."""

    position: int
    stream: str
    category: str
    version: int
    type: str
    schema_version: int
    id: str
    payload: msgspec.Raw
    metadata: msgspec.Raw
    recorded_at: int
    as_text: bool = False

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.payload) + len(self.metadata)

    @staticmethod
    def of(event: StoredEvent) -> "EventLine":
        """The line of an event."""
        fields = asdict(event)
        fields["as_text"], fields["payload"], fields["metadata"] = _raw(event.payload, event.metadata)
        return EventLine(**fields)

    def stored(self) -> StoredEvent:
        """The event."""
        payload, metadata = _json(self.payload, self.as_text), _json(self.metadata, self.as_text)
        return StoredEvent(
            self.position,
            self.stream,
            self.category,
            self.version,
            self.type,
            self.schema_version,
            self.id,
            payload,
            metadata,
            self.recorded_at,
        )


class CommandLine(msgspec.Struct, frozen=True, gc=False, omit_defaults=True, tag_field="is", tag="command"):
    """A command's record as it lies in the log."""

    id: str
    digest: bytes | None
    result: msgspec.Raw
    stream: str
    version: int
    position: int
    recorded_at: int
    as_text: bool = False

    @property
    def size(self) -> int:
        """About how many bytes it takes."""
        return len(self.result)

    @staticmethod
    def of(command: StoredCommand) -> "CommandLine":
        """The line of a command."""
        as_text, result = _raw(command.result)
        rest = command.stream, command.version, command.position, command.recorded_at
        return CommandLine(command.id, command.digest, result, *rest, as_text)

    def stored(self) -> StoredCommand:
        """The command."""
        rest = self.stream, self.version, self.position, self.recorded_at
        return StoredCommand(self.id, self.digest, _json(self.result, self.as_text), *rest)


class EndLine(msgspec.Struct, frozen=True, tag_field="is", tag="end"):
    """How many events and commands there were; the last line."""

    events: int
    commands: int
    size: ClassVar[int] = 0


Line: TypeAlias = LogLine | EventLine | CommandLine | EndLine
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(LogLine | EventLine | CommandLine | EndLine).decode
_check_json = msgspec.json.Decoder(msgspec.Raw).decode


def read_lines(file: Iterable[bytes], path: str | Path) -> Iterator[Line]:
    """
    What a file says, line by line; each is one that a log can hold.

    Raises:
        BadFile: A line is not, and which.
    """
    for number, line in enumerate(file, 1):
        try:
            read = _decode(line)
            _check(read)
            yield read
        except (ValueError, OverflowError, RecursionError) as error:
            if number == 1:
                raise BadFile(f"{path} is no export of a log: name a file that `diptych export` wrote") from error
            raise BadFile(f"line {number} of {path} is none of a log's: {error}") from error


def _check(line: Line) -> None:
    """Insist that a store can hold what a line says, and give it back; nothing later looks at it again."""
    match line:
        case LogLine():
            _check_names(line.log_id)
            _check_numbers(line.incarnation)
            _check_numbers(line.through, least=0)
        case EventLine():
            _check_names(line.stream, line.category, line.type, line.id)
            _check_numbers(line.position, line.version)
            _check_numbers(line.schema_version, most=2**31 - 1)
            _check_numbers(line.recorded_at, least=0, most=LAST_TIME)
            _check_parts(line.as_text, line.payload, line.metadata)
        case CommandLine():
            _check_names(line.id, line.stream or "none")
            _check_numbers(line.version, line.position, least=0)
            _check_numbers(line.recorded_at, least=0, most=LAST_TIME)
            _check_parts(line.as_text, line.result)


def _check_names(*names: str) -> None:
    for name in names:
        if not name or "\0" in name:
            raise ValueError(f"the name {name!r} is empty or holds NUL")
        if size := bytes_beyond(name, LONGEST_NAME):
            raise ValueError(f"a name has {size:,} bytes: at most {LONGEST_NAME:,} fit into an index everywhere")


def _check_numbers(*numbers: int, least: int = 1, most: int = LAST_POSITION) -> None:
    for number in numbers:
        if not least <= number <= most:
            raise ValueError(f"the number {number} is not between {least} and {most}")


def _check_parts(as_text: bool, *parts: msgspec.Raw) -> None:
    """JSON was looked at where the line was read, but for its characters; what is kept as text, not at all."""
    for part in parts:
        str(_json(part, as_text), "utf-8")
        if as_text:
            with suppress(msgspec.DecodeError):
                _check_json(_json(part, as_text))


def encoded(line: Line) -> bytes:
    """A line of a file."""
    return _encode(line) + b"\n"


def begins_to_say(text: bytes, log: LogLine) -> bool:
    """Whether a text is a beginning of a log's first line, up to whichever position, and no whole line."""
    line = encoded(log)
    until = line[: line.rindex(b":") + 1]
    return until.startswith(text) or re.fullmatch(re.escape(until) + rb"\d+\}?", text) is not None


def _raw(*parts: bytes) -> tuple[Any, ...]:
    """
    Whether parts have to be the texts of strings, and then the parts.

    As they are, they would end the line, break it or lose something: JSON with line breaks in it or space around it,
    and what is no JSON at all.
    """
    try:
        as_text = any(b"\n" in part or bytes(_check_json(part)) != part for part in parts)
    except (msgspec.DecodeError, RecursionError):
        as_text = True
    return as_text, *(msgspec.Raw(_encode(part.decode()) if as_text else part) for part in parts)


def _json(raw: msgspec.Raw, as_text: bool) -> bytes:
    return msgspec.json.decode(raw, type=str).encode() if as_text else bytes(raw)
