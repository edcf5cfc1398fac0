"""
Open the read database: snapshots for queries, one writing transaction at a time.

A snapshot sees one moment, whatever is written meanwhile, and can't write. What
goes wrong because the database is away is `Unavailable`: try again.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from diptych.errors import BadDatabase, Unavailable
from diptych.read.sqlite import url_of
from diptych.store.location import place_for

SCHEMA_VERSION = 1
READERS, MORE_READERS = 8, 32  # more where queries hold several snapshots at once
PATIENCE_S = 2.0
MEMORY = "sqlite:///:memory:"


class ReadDatabase:
    """Where read models and their checkpoints rest; made by `open_read_db`."""

    def __init__(self, name: str, readers: AsyncEngine, writer: AsyncEngine) -> None:
        self._name, self._readers, self._writer = name, readers, writer
        self._one_writer = asyncio.Lock()

    @property
    def dialect_name(self) -> str:
        """Which SQL it speaks."""
        return self._writer.dialect.name

    @asynccontextmanager
    async def acquire(self) -> AsyncIterator[AsyncConnection]:
        """
        A connection on a read-only snapshot of this moment.

        Raises:
            Unavailable: The database is away.
        """
        async with self.snapshot() as connection:
            await connection.exec_driver_sql("SELECT 1 FROM diptych_served LIMIT 1")
            yield connection

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[AsyncConnection]:
        """
        A connection on a read-only snapshot, of the moment that its first statement is run.

        Raises:
            Unavailable: The database is away.
        """
        with self._translated():
            async with self._readers.connect() as connection:
                yield connection

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """
        A connection in a writing transaction, begun by its first statement.

        It is committed at the end of the block, and rolled back on an error.

        Raises:
            Unavailable: The database is away; nothing was written.
        """
        async with self._one_writer:
            with self._translated():
                async with self._writer.connect() as connection:
                    try:
                        yield connection
                        await connection.commit()
                    except OperationalError:
                        # What is wrong may be in the connection: one opened while the file was read-only stays so.
                        await connection.invalidate()
                        raise

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors that mean *away* as `Unavailable`; the others as they are."""
        try:
            yield
        except (OperationalError, PoolTimeoutError) as error:
            cause = error.orig if isinstance(error, DBAPIError) else error
            raise Unavailable(f"the read database {self._name} can't be used now: {cause}") from error


@asynccontextmanager
async def open_read_db(url: str) -> AsyncIterator[ReadDatabase]:
    """
    Open a read database for as long as the block runs; it is made where there is none.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, or `sqlite:///:memory:`
            for one that goes when the block ends.

    Raises:
        BadDatabase: The URL names nothing that can be opened, or a schema of newer code.
    """
    if url == MEMORY:
        with TemporaryDirectory(prefix="diptych-") as folder:
            async with open_read_db(f"sqlite:///{folder}/read.db") as read_db:
                yield read_db
        return
    path = _path(url)
    readers = create_async_engine(
        url_of(path, query_only=True), pool_size=READERS, max_overflow=MORE_READERS, pool_timeout=PATIENCE_S
    )
    writer = create_async_engine(url_of(path, query_only=False), pool_size=1, max_overflow=0)
    try:
        read_db = ReadDatabase(str(path), readers, writer)
        await _create_schema(read_db)
        yield read_db
    finally:
        await readers.dispose()
        await writer.dispose()


def _path(url: str) -> Path:
    scheme, slashes, path = url.partition(":///")
    if scheme != "sqlite" or not slashes or not path:
        raise BadDatabase(f"{url!r} is no read database: write sqlite:///relative.db or sqlite:////absolute.db")
    return Path(place_for(path))


async def _create_schema(read_db: ReadDatabase) -> None:
    """Bring the schema to this code's version, one numbered file after another."""
    try:
        async with read_db.begin() as connection:
            found = (await connection.exec_driver_sql("PRAGMA user_version")).scalar_one()
            if found > SCHEMA_VERSION:
                raise BadDatabase(
                    f"the read database has schema {found}, this code knows {SCHEMA_VERSION}: use newer code with it"
                )
            for number in range(found + 1, SCHEMA_VERSION + 1):
                script = files("diptych.read").joinpath("sql", "sqlite", f"schema_{number:04}.sql").read_text("utf-8")
                await connection.exec_driver_sql(f"{script}; PRAGMA user_version = {number}")
    except Unavailable as error:
        if "not a database" in str(error):
            raise BadDatabase(f"the file is no SQLite database: {error}") from error
        raise
