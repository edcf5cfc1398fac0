"""
Carry a log from one store to another, by way of a file of JSON lines.

    await export_log("sqlite:///log.db", "log.jsonl")
    await import_log("postgresql://user@host/shop", "log.jsonl")

Everything is kept: positions, versions, ids, times, metadata, and the records of
commands, so that a repeat is known there too. It is the same log afterwards, by the
same identity: checkpoints and tokens stay valid. Either goes on where it was cut
short, and takes the same memory however long the log is.

The lines of the file are those of `log_file`.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, takewhile, zip_longest
from pathlib import Path
from typing import BinaryIO, TypeAlias

import msgspec

from diptych.errors import BadDatabase, BadFile
from diptych.log_file import (
    FORMAT,
    LONGEST_HEAD,
    CommandLine,
    EndLine,
    EventLine,
    Line,
    LogLine,
    begins_to_say,
    encoded,
    read_lines,
)
from diptych.past import check_goes_further
from diptych.store import open_store_backend
from diptych.store.port import UNFINISHED, LogIdentity, Store, StoredCommand, StoredEvent

BATCH, BATCH_BYTES = 5_000, 8 * 1024 * 1024

Progress: TypeAlias = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Transferred:
    """
    What a file holds, and a log now too.

    Attributes:
        position: The last one of the events.
    """

    identity: LogIdentity
    position: int
    events: int
    commands: int


async def export_log(log: str, path: str | Path, *, progress: Progress = lambda done, of: None) -> Transferred:
    """
    Write a log into a file, as it is when that begins; it may go on being used.

    A file that an export left unfinished is gone on with.

    Args:
        log: URL of the log; see `open_store`.
        progress: Called with the position that was reached and the last one.

    Raises:
        BadFile: The file holds something else, or an export that the log has gone beyond; nothing in it is changed.
        BadDatabase: The URL names no log, or one into which an import was not finished.
    """
    _refuse_the_log_itself(log, Path(path))
    async with open_store_backend(log) as store:
        if store.identity.incarnation == UNFINISHED:
            raise BadDatabase("an import into this log was not finished: import the same file again first")
        head = LogLine(FORMAT, store.identity.log_id, store.identity.incarnation, await store.head())
        with _writable(Path(path)) as file:
            found = _found_in(file, head, path)
            await _check_goes_on(store, found, head.through, path)
            file.truncate(found.size)
            if found.size == 0:
                file.write(encoded(found.log))
            if found.end is None:
                await _write_rest(store, file, found, progress)
    return found.transferred()


async def import_log(log: str, path: str | Path, *, progress: Progress = lambda done, of: None) -> Transferred:
    """
    Put a log from a file into an empty store, or into one that holds the beginning of the same log.

    Nobody may use the log meanwhile, and until it is done nobody can: `open_store` refuses it. After a failure
    import the same file again. A copy, of a log that goes on being used, is made a log of its own by `log_adopt`.

    Args:
        log: URL of the log; see `open_store`. It is made where there is none.
        progress: Called with the position that was reached and the last one.

    Raises:
        BadFile: The file holds no log, or not the whole of one.
        BadDatabase: The store holds something else than the beginning of the log in the file.
    """
    with _opened(path) as file:
        lines = read_lines(file, path)
        head = next(lines, None)
        if not isinstance(head, LogLine) or head.format != FORMAT:
            raise BadFile(f"{path} holds no log that this code can read: write it with diptych export")
        async with open_store_backend(log) as store:
            return await _Import(store, path, head, progress).take(lines)


# Into a file


class _Found(msgspec.Struct):
    """How far a file tells of a log, in whole lines of so many bytes."""

    log: LogLine
    size: int = 0
    last: StoredEvent | None = None
    last_command: str = ""
    events: int = 0
    commands: int = 0
    end: EndLine | None = None

    def transferred(self) -> Transferred:
        return Transferred(self.log.identity, self.last.position if self.last else 0, self.events, self.commands)


def _refuse_the_log_itself(log: str, path: Path) -> None:
    """A file of SQLite is not even opened here: closing it would let go of the locks that the store holds on it."""
    own = log.removeprefix("sqlite:///")
    for file in (Path(own + ending) for ending in ("", "-wal", "-shm")):
        if own != log and os.path.exists(path) and os.path.exists(file) and path.samefile(file):
            raise BadFile(f"{path} is a file of the log itself: name another file")


@contextmanager
def _writable(path: Path) -> Iterator[BinaryIO]:
    """A file to read, and to write behind what is in it; all is on the disk at the end."""
    try:
        if path.exists() and not path.is_file():
            raise BadFile(f"{path} is no file that an export can go on with: name one")
        with path.open("a+b") as file:
            file.seek(0)
            yield file
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise BadFile(f"{path} can't be written: {error.strerror or error}") from error


def _found_in(file: BinaryIO, head: LogLine, path: str | Path) -> _Found:
    """What a file tells in whole lines; nothing where it holds no more than a beginning of this log's first line."""
    first = file.readline(LONGEST_HEAD)
    if begins_to_say(first, head):
        return _Found(head)
    lines = read_lines(_whole_lines(first, file), path)
    log = next(lines, None)
    if not isinstance(log, LogLine) or log.format != FORMAT:
        raise BadFile(f"{path} holds something else than a log: name another file")
    found = _Found(log)
    for line in lines:
        _take(found, line, path)
    found.size = _end_of_whole_lines(file)
    if found.end is not None and found.size != os.fstat(file.fileno()).st_size:
        raise _goes_on_behind_its_end(path)
    return found


def _whole_lines(first: bytes, file: BinaryIO) -> Iterator[bytes]:
    return takewhile(lambda line: line.endswith(b"\n"), chain([first], file))


def _take(found: _Found, line: Line, path: str | Path) -> None:
    match line:
        case EventLine() if found.end is None:
            found.last, found.events = line.stored(), found.events + 1
        case CommandLine() if found.end is None:
            found.last_command, found.commands = line.id, found.commands + 1
        case EndLine() if found.end is None:
            found.end = line
        case _:
            raise _goes_on_behind_its_end(path)


def _goes_on_behind_its_end(path: str | Path) -> BadFile:
    return BadFile(f"{path} goes on where its log ended, or begins again: name another file")


def _end_of_whole_lines(file: BinaryIO) -> int:
    end = os.fstat(file.fileno()).st_size
    while end and os.pread(file.fileno(), 1, end - 1) != b"\n":
        end -= 1
    return end


async def _check_goes_on(store: Store, found: _Found, head: int, path: str | Path) -> None:
    there = await store.event_at(found.last.position) if found.last else None
    if found.log.identity != store.identity or there != found.last:
        raise BadFile(f"{path} holds another log, {found.log.log_id}: name another file")
    if found.log.through > head or (found.end is not None and head != found.log.through):
        raise BadFile(
            f"{path} holds the whole log as it was at position {found.log.through}, and it is at {head} now: "
            "name another file, or remove that one"
        )


async def _write_rest(store: Store, file: BinaryIO, found: _Found, progress: Progress) -> None:
    through = found.log.through
    position = found.last.position if found.last else 0
    while position < through:
        page = await store.read(position, limit=BATCH)
        check_goes_further(page, position, through)
        events = [event for event in page.events if event.position <= through]
        file.writelines(encoded(EventLine.of(event)) for event in events)
        found.last = events[-1] if events else found.last
        found.events += len(events)
        position = page.through
        progress(min(position, through), through)
    while commands := await store.commands(found.last_command, limit=BATCH):
        wanted = [command for command in commands if command.position <= through]
        file.writelines(encoded(CommandLine.of(command)) for command in wanted)
        found.last_command, found.commands = commands[-1].id, found.commands + len(wanted)
    found.end = EndLine(found.events, found.commands)
    file.write(encoded(found.end))


# Out of a file


def _opened(path: str | Path) -> BinaryIO:
    try:
        return Path(path).open("rb")
    except OSError as error:
        raise BadFile(f"{path} can't be read: {error.strerror}") from error


class _Import:
    """A store that takes what a file holds, and what was taken so far."""

    def __init__(self, store: Store, path: str | Path, head: LogLine, progress: Progress) -> None:
        self._store, self._path, self._head, self._progress = store, path, head, progress
        self._position = self._events = self._commands = 0

    async def take(self, lines: Iterator[Line]) -> Transferred:
        """Check what is there, and put the rest behind it."""
        there = await self._begin()
        for batch in _batches(lines):
            match batch[0]:
                case EventLine():
                    await self._take_events([line.stored() for line in batch if isinstance(line, EventLine)], there)
                case CommandLine():
                    await self._refuse_a_gap(self._position, there, ())
                    await self._take_commands([line.stored() for line in batch if isinstance(line, CommandLine)])
                case EndLine(events, commands) if (events, commands) == (self._events, self._commands):
                    return await self._end(there)
                case _:
                    break
        raise BadFile(
            f"{self._path} ends before its log does, or has lost lines: go on with its export, then import it again"
        )

    async def _begin(self) -> int:
        """Where the store ends; an empty one becomes the log, unfinished."""
        there, empty = await self._store.head(), not await self._store.commands(limit=1)
        if there == 0 and empty:
            await self._store.become(LogIdentity(self._head.log_id, UNFINISHED))
        elif self._store.identity not in (self._head.identity, LogIdentity(self._head.log_id, UNFINISHED)):
            raise BadDatabase(
                f"the store holds {_named(self._store.identity)}, and {self._path} {_named(self._head.identity)}: "
                "import into an empty one"
            )
        return there

    async def _take_events(self, events: list[StoredEvent], there: int) -> None:
        known = [event for event in events if event.position <= there]
        if known:
            page = await self._store.read(self._position, limit=len(known))
            if list(page.events) != known:
                raise await self._differs(events)
        if new := events[len(known) :]:
            await self._refuse_a_gap(known[-1].position if known else self._position, there, events)
            if self._store.identity.incarnation != UNFINISHED:
                await self._store.become(LogIdentity(self._head.log_id, UNFINISHED))
            await self._store.put(new)
        self._position, self._events = events[-1].position, self._events + len(events)
        self._progress(self._position, self._head.through)

    async def _take_commands(self, commands: list[StoredCommand]) -> None:
        await self._store.put((), commands)
        self._commands += len(commands)

    async def _end(self, there: int) -> Transferred:
        await self._refuse_a_gap(self._position, there, ())
        if self._store.identity != self._head.identity:
            await self._store.become(self._head.identity)
        return Transferred(self._head.identity, self._position, self._events, self._commands)

    async def _refuse_a_gap(self, checked: int, there: int, events: Sequence[StoredEvent]) -> None:
        """What was there before must end where the file was compared with it."""
        if checked < there:
            raise await self._differs(events)

    async def _differs(self, events: Sequence[StoredEvent]) -> BadDatabase:
        """The store, which has something else than these events behind what was taken."""
        held = (await self._store.read(self._position, limit=len(events) + 1)).events
        unequal = next(pair for pair in zip_longest(held, events) if pair[0] != pair[1])
        first = min(event.position for event in unequal if event is not None)
        return BadDatabase(
            f"the store does not hold the beginning of the log in {self._path}, they differ from position "
            f"{first} on: import into an empty one"
        )


def _named(identity: LogIdentity) -> str:
    return f"log {identity.log_id} incarnation {identity.incarnation}"


def _batches(lines: Iterator[Line]) -> Iterator[list[Line]]:
    """Lines of one kind that follow each other, a bounded number of them at a time."""
    batch: list[Line] = []
    size = 0
    for line in lines:
        if batch and (type(line) is not type(batch[0]) or len(batch) == BATCH or size > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(line)
        size += line.size
    if batch:
        yield batch
