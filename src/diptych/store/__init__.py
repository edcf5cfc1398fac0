"""
Open the store that a URL names.

A backend is imported when its scheme is used, so that nobody pays for, or has to
install, the drivers of the others.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from importlib import import_module

from diptych.errors import BadDatabase
from diptych.store.finding import Finding, Kind
from diptych.store.port import Store

_ALLOWED = "sqlite:///relative/path.db, sqlite:////absolute/path.db, postgresql://user@host:port/database or memory://"


@asynccontextmanager
async def open_store_backend(url: str) -> AsyncIterator[Store]:
    """
    The store behind *url*, open inside the block.

    Args:
        url: `sqlite:///relative/path.db`, `sqlite:////absolute/path.db`, `memory://` or
            `postgresql://user@host:port/database`; a SQLite file and its folder, and the tables in
            a database of PostgreSQL, are made when they are missing.

    Raises:
        BadDatabase: The URL names no store that can be opened; the message says why.
        Unavailable: The store is there but can't be used now.
    """
    async with _backend(url) as store:
        yield store


async def examine(url: str, kind: Kind) -> list[Finding]:
    """
    What is so with the database behind a URL: what it is, how it is set, and who holds up whom. Makes nothing.

    Raises:
        BadDatabase: The URL names none, or one that can't be opened.
        Unavailable: It is away.
    """
    scheme, _, rest = url.partition("://")
    if scheme == "sqlite" and rest.startswith("/"):
        from diptych.store.sqlite import health

        return await asyncio.to_thread(health.examine, rest[1:], kind)
    if scheme in {"postgresql", "postgres"}:
        _require_asyncpg()
        from diptych.store.postgres.health import examine as examine_server

        return await examine_server(url, kind)
    raise BadDatabase(f"no database to look into at {url!r}")


def _backend(url: str) -> AbstractAsyncContextManager[Store]:
    scheme, _, rest = url.partition("://")
    if scheme == "memory":
        return _memory(url, rest)
    if scheme == "sqlite":
        return _sqlite(url, rest)
    if scheme in {"postgresql", "postgres"}:
        return _postgres(url)
    raise BadDatabase(f"no store for the URL {url!r}: use {_ALLOWED}")


def _memory(url: str, rest: str) -> AbstractAsyncContextManager[Store]:
    from diptych.store.memory import open_memory

    if rest:
        raise BadDatabase(f"a memory store has no name, it is gone when it is closed: use memory:// instead of {url!r}")
    return open_memory()


def _postgres(url: str) -> AbstractAsyncContextManager[Store]:
    _require_asyncpg()
    from diptych.store.postgres import open_postgres

    return open_postgres(url)


def _require_asyncpg() -> None:
    try:
        import_module("asyncpg")
    except ModuleNotFoundError as error:
        raise BadDatabase(f"{error.name} is missing: install diptych[postgres] to keep a log in PostgreSQL") from error


def _sqlite(url: str, rest: str) -> AbstractAsyncContextManager[Store]:
    from diptych.store.sqlite import open_sqlite

    path = rest.removeprefix("/")
    if path == rest or not path or path == ":memory:" or "?" in path:
        raise BadDatabase(f"{url!r} names no file for a log: use {_ALLOWED}")
    return open_sqlite(path)
