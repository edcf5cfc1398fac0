"""
Let SQLAlchemy's asyncio speak to SQLite through apsw, each connection in a thread of its own.

apsw bundles a current SQLite: the log and the read models run on the same one.
An execution is one hop to the thread, which runs the statement and fetches all
its rows. A writing transaction begins in the hop of its first statement; to begin
a snapshot and to end it touches no file, and is done where it is asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from math import inf
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import apsw
from sqlalchemy import URL, pool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.base import SQLiteDialect
from sqlalchemy.util import await_

from diptych.errors import BadDatabase
from diptych.read.db.cancellation import to_its_end
from diptych.read.db.thread import Thread

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000
STATEMENT_S = 30.0
_LOOK_STEPS = 100_000  # of SQLite's machine, about a millisecond
_HEADER_BYTES = 100
APPLICATION_ID = 0x44697072  # "Dipr", found by file(1) and by `PRAGMA application_id`
WAL_BYTES = 16 * 1024 * 1024  # what the WAL shrinks back to when a long reader has gone
PRAGMAS: dict[str, str | int] = {
    "journal_mode": "wal",
    "synchronous": 2,
    "foreign_keys": 1,
    "journal_size_limit": WAL_BYTES,
}


registry.register("sqlite.apsw", __name__, "ApswDialect")


def url_of(path: Path, *, query_only: bool) -> URL:
    """What SQLAlchemy makes an engine of; *query_only* connections can't write."""
    return URL.create("sqlite+apsw", database=str(path), query={"query_only": str(int(query_only))})


def refuse_foreign(path: Path) -> None:
    """
    Insist that a file which is there holds read models, without changing it.

    Raises:
        BadDatabase: It is something else.
    """
    try:
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
    except OSError:
        return  # there is none, or it can't be read now, which whoever opens it is told
    if header and not header.startswith(b"SQLite format 3\0"):
        raise BadDatabase(f"{path} is no SQLite database: name another file for the read models")
    if header and not _may_be_ours(header, under_way=Path(f"{path}-wal").exists()):
        raise BadDatabase(f"{path} is a SQLite database of something else: name another file for the read models")


def _may_be_ours(header: bytes, *, under_way: bool) -> bool:
    """By the header's fields (SQLite's file format, 1.3); while one is being made, they may be in its WAL yet."""
    pages, version, application = (int.from_bytes(header[at : at + 4], "big") for at in (28, 60, 68))
    if application == 0 and version == 0:
        return pages <= 1 or under_way
    return application == APPLICATION_ID


class Error(Exception):
    """The root of the DB-API's errors, as SQLAlchemy knows them by name."""


class DatabaseError(Error):
    """The database refused."""


class OperationalError(DatabaseError):
    """Busy, full, away: nothing is wrong with the statement."""


class IntegrityError(DatabaseError):
    """A constraint refused."""


class ProgrammingError(DatabaseError):
    """The statement is wrong."""


_OPERATIONAL = (
    apsw.BusyError,
    apsw.LockedError,
    apsw.FullError,
    apsw.IOError,
    apsw.CantOpenError,
    apsw.ReadOnlyError,
    apsw.InterruptError,
    apsw.NoMemError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ProtocolError,
    apsw.ConnectionClosedError,
)


def translated(error: apsw.Error) -> DatabaseError:
    """apsw's error as the DB-API names it."""
    if isinstance(error, _OPERATIONAL):
        kind: type[DatabaseError] = OperationalError
    elif isinstance(error, apsw.ConstraintError | apsw.MismatchError | apsw.TooBigError):
        kind = IntegrityError
    else:
        kind = ProgrammingError
    if isinstance(error, apsw.InterruptError):
        return kind(f"a statement took longer than {STATEMENT_S:g} s and was ended")
    return kind(str(error))


class Reading(apsw.Connection):
    """A connection to read on, whose statements are ended when they take too long."""

    deadline: float = inf

    def give_time(self) -> None:
        """A statement begins, and has its time from now on."""
        self.deadline = monotonic() + STATEMENT_S

    def is_late(self) -> bool:
        """Whether the statement is to end now."""
        return monotonic() > self.deadline


class Connection:
    """A DB-API connection as SQLAlchemy's greenlets call it; each call hops to its thread."""

    def __init__(self, path: str, *, query_only: bool) -> None:
        self._thread, self._query_only = Thread("diptych-read"), query_only
        self.raw: apsw.Connection
        self._begins: bool = False
        try:
            self.run(lambda: self._open(path, query_only=query_only))
        except BaseException:  # cancelled, too: the thread may have opened it all the same
            self.terminate()
            raise

    def run(self, work: Callable[[], T]) -> T:
        """Do something in the connection's thread and wait for it, as a greenlet."""
        try:
            # Nobody else may use the connection until the thread is done with it.
            return await_(to_its_end(self._thread.run(work)))
        except apsw.Error as error:
            raise translated(error) from error

    def cursor(self) -> "Cursor":
        """A cursor on it."""
        return Cursor(self)

    def begin(self) -> None:
        """Begin a snapshot; a connection that may write begins with its first statement, as that may have to wait."""
        if not self._query_only:
            self._begins = True
        elif not self.raw.in_transaction:
            self.raw.execute("BEGIN")

    def begun(self) -> apsw.Connection:
        """The connection in its transaction; called in its thread."""
        if self._begins:
            self.raw.execute("BEGIN IMMEDIATE")
            self._begins = False
        return self.raw

    def commit(self) -> None:
        """End a transaction, if there is one."""
        self._begins = False
        if self.raw.in_transaction:
            self.run(lambda: self.raw.execute("COMMIT"))

    def rollback(self) -> None:
        """Undo a transaction, if there is one."""
        self._begins = False
        if not self.raw.in_transaction:
            return
        if self._query_only:
            self.raw.execute("ROLLBACK")
        else:
            self.run(lambda: self.raw.execute("ROLLBACK"))

    def close(self) -> None:
        """Close it and end its thread."""
        self.run(self.raw.close)
        self._thread.end()

    def terminate(self) -> None:
        """Close it without waiting."""
        self._thread.end(self._close)

    def _close(self) -> None:
        if hasattr(self, "raw"):
            self.raw.close()

    def _open(self, path: str, *, query_only: bool) -> None:
        self.raw = connect(path, query_only=query_only)


class Cursor:
    """A DB-API cursor; all rows of a statement are fetched when it is executed."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: Iterator[Any] = iter(())
        self.description: Sequence[tuple[Any, ...]] | None = None
        self.rowcount: int = -1
        self.lastrowid: int = 0
        self.arraysize: int = 1

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement and fetch its rows."""
        self._take(self._connection.run(lambda: _execute(self._connection.begun(), statement, parameters)))

    def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Run a statement once for each set of parameters, in one hop."""
        self._take(self._connection.run(lambda: _execute_many(self._connection.begun(), statement, parameters)))

    def fetchone(self) -> Any | None:
        """The next row."""
        return next(self._rows, None)

    def fetchmany(self, size: int | None = None) -> list[Any]:
        """The next rows."""
        return [row for _, row in zip(range(size or self.arraysize), self._rows, strict=False)]

    def fetchall(self) -> list[Any]:
        """The rows that are left."""
        return list(self._rows)

    def close(self) -> None:
        """Forget the rows."""
        self._rows = iter(())

    async def _async_soft_close(self) -> None:
        """Asked by SQLAlchemy before rows are read outside a greenlet; they are all here already."""

    def setinputsizes(self, *sizes: Any) -> None:
        """SQLite takes values of any size."""

    def setoutputsize(self, size: Any, column: Any = None) -> None:
        """SQLite gives values of any size."""

    def _take(self, outcome: tuple[Any, list[Any], int, int]) -> None:
        self.description = outcome[0]
        self._rows = iter(outcome[1])
        self.rowcount = outcome[2]
        self.lastrowid = outcome[3]


class Dbapi:
    """The module that SQLAlchemy takes for the DB-API."""

    paramstyle = "qmark"
    sqlite_version: str = apsw.sqlite_lib_version()
    sqlite_version_info: tuple[int, ...] = tuple(int(part) for part in sqlite_version.split("."))
    Error: type[Exception] = Error
    DatabaseError: type[Exception] = DatabaseError
    OperationalError: type[Exception] = OperationalError
    IntegrityError: type[Exception] = IntegrityError
    ProgrammingError: type[Exception] = ProgrammingError
    InterfaceError: type[Exception] = DatabaseError
    InternalError: type[Exception] = DatabaseError
    DataError: type[Exception] = DatabaseError
    NotSupportedError: type[Exception] = DatabaseError
    Binary: type[bytes] = bytes

    def connect(self, path: str, *, query_only: bool = False) -> Connection:
        """A new connection, which can be one that can't write."""
        return Connection(path, query_only=query_only)


class ApswDialect(SQLiteDialect):
    """SQLAlchemy's SQLite over apsw, asynchronous."""

    driver = "apsw"
    is_async = True
    supports_statement_cache = True
    default_paramstyle = "qmark"
    has_terminate = True

    @classmethod
    def import_dbapi(cls) -> Any:
        """The DB-API."""
        return Dbapi()

    @classmethod
    def get_pool_class(cls, url: Any) -> type[pool.Pool]:
        """A queue of connections."""
        return pool.AsyncAdaptedQueuePool

    def create_connect_args(self, url: Any) -> Any:
        """What `connect` takes."""
        return [url.database], {"query_only": url.query.get("query_only") == "1"}

    def _get_server_version_info(self, connection: Any) -> tuple[int, ...]:
        return Dbapi.sqlite_version_info

    def do_begin(self, dbapi_connection: Any) -> None:
        """Asked before the first statement."""
        dbapi_connection.begin()

    def do_terminate(self, dbapi_connection: Any) -> None:
        """Close without waiting."""
        dbapi_connection.terminate()

    def get_driver_connection(self, connection: Any) -> Any:
        """apsw's own connection."""
        return connection.raw


def connect(path: str, *, query_only: bool) -> apsw.Connection:
    """A connection to a file of read models, set up as all of them are."""
    raw: apsw.Connection
    if query_only:
        raw = Reading(path, flags=apsw.SQLITE_OPEN_READWRITE)
        raw.set_progress_handler(raw.is_late, _LOOK_STEPS)
    else:
        raw = apsw.Connection(path)
    raw.set_busy_timeout(BUSY_TIMEOUT_MS)
    # Else a statement is prepared again for each new value that its plan might depend on.
    raw.config(apsw.SQLITE_DBCONFIG_ENABLE_QPSG, 1)
    for name, wanted in (PRAGMAS | {"query_only": int(query_only)}).items():
        raw.execute(f"PRAGMA {name} = {wanted}").fetchall()
        if (is_now := raw.pragma(name)) != wanted:
            raise apsw.CantOpenError(f"PRAGMA {name} is {is_now!r}, {wanted!r} was asked for")
    return raw


def _execute(raw: apsw.Connection, statement: str, parameters: Sequence[Any]) -> tuple[Any, list[Any], int, int]:
    if isinstance(raw, Reading):
        raw.give_time()
    cursor = raw.cursor()
    described: list[Any] = []
    # Asked before the first step: a statement that returned its last row can't be described any more.
    cursor.exec_trace = lambda running, *_: not described.append(running.get_description())  # type: ignore[func-returns-value]
    rows = cursor.execute(statement, tuple(parameters)).fetchall()
    columns = tuple((name, kind, None, None, None, None, None) for name, kind in described[0]) if described else ()
    return columns or None, rows, raw.changes(), raw.last_insert_rowid()


def _execute_many(
    raw: apsw.Connection, statement: str, parameters: Sequence[Sequence[Any]]
) -> tuple[Any, list[Any], int, int]:
    raw.executemany(statement, parameters)
    return None, [], -1, raw.last_insert_rowid()
