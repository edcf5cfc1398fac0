"""
Decide what every backend decides alike: which appends make sense, and which may go.

Nothing here reads or writes; a backend brings what it has found and is told.
"""

from collections.abc import Mapping, Sequence

from diptych.errors import CommandIdReused, Misuse, NotStorable, WrongCategory, WrongVersion
from diptych.store.names import LONGEST_NAME, bytes_beyond
from diptych.store.port import (
    ANY,
    EXISTS,
    NO_STREAM,
    Append,
    CommandRecord,
    Expect,
    Expected,
    Outcome,
    StoredCommand,
    StoredEvent,
    StreamAppend,
)


def check_append(append: Append) -> None:
    """
    Refuse what no caller can mean.

    Raises:
        Misuse: Nothing to commit, an empty or repeated stream, an empty name, an expected version that none can
            be, or an id that is not the append's own.
        NotStorable: A name that is longer than the index of some backend takes.
    """
    if append.command is None and not append.streams:
        raise Misuse("an append holds events, a command record, or both: this one holds nothing")
    if len(append.streams) > 1 and len({stream.stream for stream in append.streams}) != len(append.streams):
        raise Misuse(f"append {append.id!r} names a stream twice: put its events together")
    for stream in append.streams:
        _check_expected(stream)
        _check_names(stream)
    own_id = append.command.id if append.command else append.streams[0].events[0].id
    if append.id != own_id:
        raise Misuse(f"append {append.id!r} must carry the id of its command or of its first event: {own_id!r}")
    _check_length("the id of an append", append.id)


def check_stream(wanted: StreamAppend, *, version: int, category: str | None) -> None:
    """
    Let events in at the end of a stream, or refuse them.

    Args:
        version: Where the stream ends now; 0 for an empty one.
        category: The category it belongs to; None for an empty one.

    Raises:
        WrongCategory: The stream belongs to another category.
        WrongVersion: The stream is not where the caller expects it.
    """
    if category is not None and category != wanted.category:
        raise WrongCategory(stream=wanted.stream, given=wanted.category, actual=category)
    if not _met(wanted.expected, version):
        expected = wanted.expected.value if isinstance(wanted.expected, Expect) else wanted.expected
        raise WrongVersion(stream=wanted.stream, expected=expected, actual=version)


def check_repeat(first: Outcome, again: CommandRecord) -> None:
    """
    Recognise a command by its body too; where either side has no digest, any body will do.

    Raises:
        CommandIdReused: The id was accepted with another digest.
    """
    digests = {first.command.digest if first.command else None, again.digest} - {None}
    if len(digests) > 1:
        raise CommandIdReused(again.id)


def check_goes_on(
    events: Sequence[StoredEvent], *, head: int, recorded_at: int, ends: Mapping[str, tuple[int, str]]
) -> None:
    """
    Let in events of another log that go on where this one ends.

    Args:
        head: The log's last position; 0 while it is empty.
        recorded_at: When its last event was recorded; 0 while it is empty.
        ends: The version and the category of each of the events' streams that is there.

    Raises:
        Misuse: One of them does not.
    """
    now = dict(ends)
    for event in events:
        version, category = now.get(event.stream, (0, event.category))
        if (event.version, event.category) != (version + 1, category):
            raise Misuse(
                f"event {event.id!r} is version {event.version} of stream {event.stream!r} in category "
                f"{event.category!r}, which is at version {version} in {category!r}: it does not go on there"
            )
        if event.position <= head or event.recorded_at < recorded_at:
            raise Misuse(
                f"event {event.id!r} at position {event.position}, recorded at {event.recorded_at}, does not go on "
                f"where the log ends: at position {head}, recorded at {recorded_at}"
            )
        now[event.stream] = event.version, event.category
        head, recorded_at = event.position, event.recorded_at


def unknown_of(given: Sequence[StoredCommand], known: Mapping[str, StoredCommand]) -> list[StoredCommand]:
    """
    The commands that are not there yet, of those another log holds.

    Raises:
        CommandIdReused: One is there, and says something else.
    """
    for command in given:
        if known.get(command.id, command) != command:
            raise CommandIdReused(command.id)
    return [command for command in given if command.id not in known]


def _check_expected(wanted: StreamAppend) -> None:
    expected = wanted.expected
    if isinstance(expected, Expect) or (type(expected) is int and expected >= 0):
        return
    raise Misuse(
        f"stream {wanted.stream!r} is expected at version {expected!r}: "
        "say ANY, NO_STREAM, EXISTS or a number that is 0 or more"
    )


def _check_names(wanted: StreamAppend) -> None:
    if not wanted.events:
        raise Misuse(f"an append names stream {wanted.stream!r} without events: leave the stream out")
    are_named = wanted.stream and wanted.category
    _check_length("the stream id", wanted.stream)
    _check_length("the stream type", wanted.category)
    for event in wanted.events:
        are_named = are_named and event.type and event.id
        _check_length("the type of an event", event.type)
        _check_length("the id of an event", event.id)
    if not are_named:
        raise Misuse(f"an append to stream {wanted.stream!r} has an empty name: stream, category, type and id are text")


def _check_length(what: str, name: str) -> None:
    if size := bytes_beyond(name, LONGEST_NAME):
        why = f"{size:,} bytes, and at most {LONGEST_NAME:,} fit into an index everywhere"
        raise NotStorable(what=what, path="$", why=why)


def _met(expected: Expected, version: int) -> bool:
    if expected is ANY:
        return True
    if expected is NO_STREAM:
        return version == 0
    if expected is EXISTS:
        return version > 0
    return expected == version
