"""
Look at a file: what it is, how it is set, and who holds it up.

Changes nothing. Who holds a file is known where the system lists its locks (/proc/locks).
"""

import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import apsw

from diptych.store.finding import Finding, Kind, lasting, of_schema, ok, problem, warning
from diptych.store.location import place_for
from diptych.store.sqlite.connection import WAL_BYTES, connect_reader, explain, insist

HELD_S = 1.0
ROOM_BYTES = 256 * 1024 * 1024
_LOCKS = Path("/proc/locks")
# The bytes of a -shm file that SQLite locks: https://sqlite.org/walformat.html#wal_locks
_WRITE, _READS = range(120, 121), range(123, 128)


def examine(path: str, kind: Kind) -> list[Finding]:
    """
    What is so with a file, and with what it is to hold.

    Raises:
        BadDatabase: It is no database, or lies where none can.
        Unavailable: It can't be looked into now.
    """
    if not Path(path).exists():
        return [of_schema(kind, 0)]
    real = place_for(path)
    try:
        connection = connect_reader(real)
        try:
            return [ok("server", f"SQLite {apsw.sqlite_lib_version()}, {real}"), *_findings(connection, real, kind)]
        finally:
            connection.close()
    except Exception as error:
        raise explain(error, real) from error


def _findings(connection: apsw.Connection, path: str, kind: Kind) -> Iterator[Finding]:
    application, version = (_pragma(connection, name) for name in ("application_id", "user_version"))
    tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if application != kind.application_id and tables:
        yield problem(kind.name, f"{path} holds something else", "name another file")
    else:
        yield of_schema(kind, version)
    if tables and _pragma(connection, "journal_mode") != "wal":
        yield problem(
            "settings", f"journal_mode is {_pragma(connection, 'journal_mode')}", "open it once: diptych init"
        )
    yield from _of_disk(path)
    yield from _of_writer(path)
    yield from _of_readers(path)


def _of_disk(path: str) -> Iterator[Finding]:
    if not os.access(path, os.W_OK):
        yield problem("disk", f"{path} may not be written by this user", "give its owner or its mode back")
    free = shutil.disk_usage(path).free
    if free < ROOM_BYTES:
        yield warning("disk", f"{free // 1024**2} MiB are free for {path}", "make room")


def _of_writer(path: str) -> Iterator[Finding]:
    """Whether somebody has kept the file for writing longer than a batch takes."""
    if not os.access(path, os.W_OK):
        return
    connection, before = apsw.Connection(path), _written(path)
    try:
        insist(lambda: connection.execute("BEGIN IMMEDIATE"), for_s=HELD_S)
        connection.execute("ROLLBACK")
    except apsw.BusyError:
        if _written(path) != before:  # many have written meanwhile, one after another
            return
        who = _holders(path, _WRITE)
        what = f"{who or 'somebody'} has held {path} for writing for longer than {lasting(HELD_S)}"
        yield problem("blocked", what, "let it end its transaction, or end it: others can't write")
    finally:
        connection.close()


def _written(path: str) -> tuple[int, int]:
    wal = Path(f"{path}-wal")
    return (wal.stat().st_size, wal.stat().st_mtime_ns) if wal.exists() else (0, 0)


def _of_readers(path: str) -> Iterator[Finding]:
    """A WAL that can't shrink: a snapshot has been open for long."""
    size, _ = _written(path)
    if size > 2 * WAL_BYTES:
        who = _holders(path, _READS)
        what = f"{path}-wal has grown to {size // 1024**2} MiB: {who or 'somebody'} keeps a snapshot open"
        yield warning("transaction", what, "let the reader end its snapshot, or end it")


def _holders(path: str, bytes_: range) -> str:
    """Who has locked some of these bytes of the file's -shm, as far as the system tells."""
    try:
        found = os.stat(f"{path}-shm")
        lines = _LOCKS.read_text(encoding="ascii").splitlines()
    except OSError:
        return ""
    where = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    return ", ".join(_process(pid) for pid in _pids(lines, where, bytes_))


def _pids(lines: Iterable[str], where: str, bytes_: range) -> list[str]:
    found = []
    for line in lines:
        _, kind, _, _, pid, place, first, last = line.replace("-> ", "").split()
        end = bytes_.stop if last == "EOF" else int(last)
        if kind == "POSIX" and place == where and int(first) < bytes_.stop and end >= bytes_.start:
            found.append(pid)
    return sorted(set(found))


def _process(pid: str) -> str:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        command = ""
    return f"process {pid}" + (f" ({command[:80]})" if command else "")


def _pragma(connection: apsw.Connection, name: str) -> Any:
    return connection.execute(f"PRAGMA {name}").get
