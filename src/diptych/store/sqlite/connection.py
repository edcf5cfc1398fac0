"""
Open connections to the log's file, and say what a driver's error means.

The write connection syncs every commit to the disk before it is answered or seen
(WAL, synchronous=FULL). Read connections can't write. Each setting is made alone
and read back. No error of the driver leaves this package.
"""

import random
import time
from collections.abc import Callable
from functools import partial
from typing import TypeVar

import apsw

from diptych.errors import BadDatabase, Misuse, Unavailable

T = TypeVar("T")

WAL_BYTES = 16 * 1024 * 1024  # what the WAL shrinks back to when a long reader has gone
_BUSY_MS = 5_000
_SETTINGS = (
    ("journal_mode", "wal"),
    ("synchronous", 2),  # FULL: the WAL is synced in every commit
    ("fullfsync", 1),  # macOS: through the drive's cache too
    ("cache_size", -32_768),  # KiB
    ("journal_size_limit", WAL_BYTES),
)

AWAY = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.NoMemError,
    apsw.InterruptError,
    apsw.ProtocolError,
)


def connect_writer(path: str) -> apsw.Connection:
    """A connection that may make the file; nothing is set yet."""
    connection = _with_stable_plans(apsw.Connection(path))
    connection.set_busy_timeout(_BUSY_MS)
    return connection


def prepare_writer(connection: apsw.Connection) -> None:
    """Make every commit durable. Other processes may be doing the same at this moment."""
    for name, value in _SETTINGS:
        insist(partial(_set, connection, name, value))
    # The writer waits by itself, so that it can tell how long it has.
    connection.set_busy_timeout(0)


def connect_reader(path: str) -> apsw.Connection:
    """A connection that can't write."""
    connection = _with_stable_plans(apsw.Connection(path, flags=apsw.SQLITE_OPEN_READONLY))
    connection.set_busy_timeout(_BUSY_MS)
    return connection


def insist(work: Callable[[], T], *, for_s: float = _BUSY_MS / 1000) -> T:
    """Do *work* again while somebody else holds the file, for *for_s* seconds at most."""
    deadline = time.monotonic() + for_s
    tries = 0
    while True:
        try:
            return work()
        except apsw.BusyError:
            if time.monotonic() > deadline:
                raise
            pause(tries)
            tries += 1


def pause(tries: int) -> None:
    """Wait a little: about 0.5 ms at first, then longer, 5 ms at most."""
    time.sleep(random.uniform(0.5, 1.0) * 0.001 * min(2 ** min(tries, 3), 5))


def explain(error: Exception, path: str) -> Exception:
    """What a driver's error means to a caller; an error of another kind is given back as it is."""
    if isinstance(error, AWAY):
        return Unavailable(f"the log {path} can't be used now ({error}): try again")
    if isinstance(error, apsw.ConstraintError | apsw.MismatchError | apsw.TooBigError):
        return Misuse(f"the log {path} refuses the append: {error}")
    if isinstance(error, apsw.NotADBError):
        return BadDatabase(f"{path} is not a SQLite database: name another file for the log")
    if isinstance(error, apsw.Error):
        return BadDatabase(f"the log {path} can't be used as it is: {error}")
    return error


def _with_stable_plans(connection: apsw.Connection) -> apsw.Connection:
    # Else a statement is prepared again for each new value that its plan might depend on.
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    return connection


def _set(connection: apsw.Connection, name: str, value: str | int) -> None:
    connection.execute(f"PRAGMA {name} = {value}").fetchall()
    actual = connection.execute(f"PRAGMA {name}").get
    if actual != value:
        raise BadDatabase(f"SQLite keeps {name} at {actual!r} instead of {value!r} for {connection.filename}")
