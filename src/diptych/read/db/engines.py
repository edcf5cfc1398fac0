"""
Make the engines of a read database: what SQLAlchemy reads with, what it writes with, and how databases differ.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import DateTime, ExceptionContext, TextClause, bindparam, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from diptych.errors import BadDatabase, Unavailable
from diptych.message import new_id
from diptych.read.db.sqlite import APPLICATION_ID, STATEMENT_S, refuse_foreign, url_of
from diptych.read.db.straight import OnSqlite, Straight, Unfit
from diptych.store.location import place_for

READERS, MORE_READERS = 8, 32  # more where queries hold several snapshots at once
WRITERS = 8
PATIENCE_S = 2.0
APPLICATION = "diptych-read"
ALLOWED = "sqlite:///relative.db, sqlite:////absolute.db or postgresql://user@host:port/database"

# By SQLSTATE: connection lost, resources exhausted, the server stopping or starting, locks and time-outs.
_PASSING_CLASSES = ("08", "53", "57", "58")
_PASSING = {"25006", "25P03", "25P04", "40001", "40P01", "55P03", "XX000"}


class Bell(Protocol):
    """Tells other processes that something has changed, and hears them; a hint that may be lost."""

    def ring(self) -> None:
        """Let it be heard in every process that listens."""

    def listen(self) -> None:
        """Hear from now on."""

    async def close(self) -> None:
        """Hear no more."""


@dataclass(frozen=True, slots=True)
class Engines:
    """
    How one read database is reached.

    Attributes:
        name: What it is called in messages: nothing secret.
        straight: Answers single statements, with nothing around them.
        file: Where it lies, if it is one.
        one_writer: Whether it takes one writing transaction at a time.
        is_away: Whether an error of the driver says that it can't be used now.
        schema_version: Which schema its tables have, 0 for none; nobody else can change it until the transaction ends.
        set_schema_version: Note which they have now.
        again: The same on connections of its own.
        older_snapshots: Asks whether one is open that began before `:now`; None where a dropped table stays in them.
        channel: Asks on which channel processes tell each other that something moved; None where they can't.
        bell: Makes the bell of a channel, which calls back when it was heard.
    """

    name: str
    readers: AsyncEngine
    straight: Straight
    writer: AsyncEngine
    file: Path | None
    one_writer: bool
    is_away: Callable[[BaseException], bool]
    schema_version: Callable[[AsyncConnection], Awaitable[int]]
    set_schema_version: Callable[[AsyncConnection, int], Awaitable[None]]
    again: Callable[[], "Engines"]
    older_snapshots: TextClause | None = None
    channel: TextClause | None = None
    bell: Callable[[str, Callable[[], None]], Bell] | None = None

    async def dispose(self) -> None:
        """Close every connection."""
        await self.straight.close()
        await self.readers.dispose()
        await self.writer.dispose()


def engines_for(url: str) -> Engines:
    """
    The engines of the read database that a URL names.

    Raises:
        BadDatabase: The URL names none, or one whose driver isn't installed.
    """
    scheme, separator, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/") and len(rest) > 1:
        return _sqlite(Path(place_for(rest[1:])))
    if scheme in {"postgresql", "postgres"} and separator:
        return _postgres(url)
    raise BadDatabase(f"{url!r} is no read database: write {ALLOWED}")


# SQLite


def _sqlite(path: Path) -> Engines:
    refuse_foreign(path)
    return Engines(
        str(path),
        create_async_engine(
            url_of(path, query_only=True), pool_size=READERS, max_overflow=MORE_READERS, pool_timeout=PATIENCE_S
        ),
        OnSqlite(path),
        create_async_engine(url_of(path, query_only=False), pool_size=1, max_overflow=0),
        file=path,
        one_writer=True,
        is_away=lambda error: isinstance(error, OperationalError | PoolTimeoutError),
        schema_version=_user_version,
        set_schema_version=_set_user_version,
        again=lambda: _sqlite(path),
    )


async def _user_version(connection: AsyncConnection) -> int:
    version: int = (await connection.exec_driver_sql("PRAGMA user_version")).scalar_one()
    if version == 0 and (await connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema")).scalar_one():
        raise BadDatabase("the file is a SQLite database of something else: name another file for the read models")
    return version


async def _set_user_version(connection: AsyncConnection, version: int) -> None:
    await connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")
    await connection.exec_driver_sql(f"PRAGMA user_version = {version}")


# PostgreSQL


def _postgres(url: str) -> Engines:
    try:
        from diptych.store.postgres.bell import Bell as Notifications
        from diptych.store.postgres.connection import Server
        from diptych.store.postgres.straight import Straight as OnPostgres

        server = Server.at(url)
        target = make_url(server.dsn).set(drivername="postgresql+asyncpg")
        given = {name: str(value) for name, value in target.query.items() if name not in _OF_THE_DRIVER}
        target = target.set(query={name: value for name, value in target.query.items() if name in _OF_THE_DRIVER})
        settings = {"application_name": APPLICATION, **given}
        connect = _connecting(settings, prepared=server.prepared)
        readers = create_async_engine(
            target,
            connect_args=connect,
            isolation_level="REPEATABLE READ",
            execution_options={"postgresql_readonly": True},
            pool_size=READERS,
            max_overflow=MORE_READERS,
            pool_timeout=PATIENCE_S,
        )
        writer = create_async_engine(
            target, connect_args=connect, pool_size=WRITERS, max_overflow=MORE_READERS, pool_timeout=PATIENCE_S
        )
    except ModuleNotFoundError as error:
        raise BadDatabase(f"{error.name} is missing: install diptych[postgres] for read models there") from error
    except (ArgumentError, ValueError) as error:
        raise BadDatabase(f"the URL names no read database ({error}): write {ALLOWED}") from error
    for engine in (readers, writer):
        _tell_of_silence(engine, server.name)
    return Engines(
        server.name,
        readers,
        OnPostgres(server, settings, patience_s=PATIENCE_S, longest_s=STATEMENT_S, failed=Unfit),
        writer,
        file=None,
        one_writer=False,
        is_away=_is_away,
        schema_version=_noted_version,
        set_schema_version=_note_version,
        again=lambda: _postgres(url),
        older_snapshots=_older_snapshots(),
        channel=text(_sql("channel")),
        bell=lambda channel, heard: Notifications(server, channel, PATIENCE_S, heard),
    )


def _tell_of_silence(engine: AsyncEngine, name: str) -> None:
    """Let a statement that gets no answer in time be known for what it is: nothing is wrong with who asked."""

    @event.listens_for(engine.sync_engine, "handle_error")
    def told(context: ExceptionContext) -> Unavailable | None:
        if not isinstance(context.original_exception, TimeoutError):
            return None
        return Unavailable(f"the read database {name} gave no answer within {STATEMENT_S:g} s")


def _connecting(settings: Mapping[str, str], *, prepared: bool) -> dict[str, Any]:
    """How a connection is made; behind a pooler with no settings, and no statement outlives its transaction."""
    times = {"timeout": PATIENCE_S, "command_timeout": STATEMENT_S}
    if prepared:
        # Arrays are planned for the table as it is: a plan made while it was small would stay for ever.
        return {"server_settings": {"jit": "off", "plan_cache_mode": "force_custom_plan", **settings}, **times}
    return {
        "server_settings": settings,
        "statement_cache_size": 0,
        "prepared_statement_cache_size": 0,
        "prepared_statement_name_func": new_id,
        **times,
    }


_OF_THE_DRIVER = {"host", "port", "ssl", "sslmode"}


def _is_away(error: BaseException) -> bool:
    if isinstance(error, PoolTimeoutError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    state = getattr(error.orig, "sqlstate", None) or ""
    passes = state.startswith(_PASSING_CLASSES) or state in _PASSING
    # A table that was dropped and made anew under one name: the next try asks again what it looks like.
    return passes or error.connection_invalidated or "cached statement plan" in str(error.orig) or _was_cut(error)


def _was_cut(error: DBAPIError) -> bool:
    """The connection ended under the statement, which the driver tells by the type of its error."""
    import asyncpg

    cause = error.orig.__cause__ if error.orig else None
    return isinstance(cause, OSError | asyncpg.InterfaceError | asyncpg.InternalClientError)


def _older_snapshots() -> TextClause:
    return text(_sql("older_snapshots")).bindparams(bindparam("now", type_=DateTime(timezone=True)))


async def _noted_version(connection: AsyncConnection) -> int:
    await connection.execute(text("SELECT pg_advisory_xact_lock(1147761781, hashtext(current_schema()))"))
    if not (await connection.execute(text(_sql("has_tables")))).scalar_one():
        return 0
    found: int | None = (await connection.execute(text("SELECT schema_version FROM diptych_read"))).scalar_one_or_none()
    return found or 0


async def _note_version(connection: AsyncConnection, version: int) -> None:
    await connection.execute(text("DELETE FROM diptych_read"))
    await connection.execute(text("INSERT INTO diptych_read (schema_version) VALUES (:version)"), {"version": version})


def _sql(name: str) -> str:
    return files("diptych.read").joinpath("sql", "postgresql", f"{name}.sql").read_text("utf-8")
