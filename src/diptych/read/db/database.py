"""
Open the read database: snapshots for queries, one writing transaction at a time.

A snapshot sees one moment, whatever is written meanwhile, and can't write. What
goes wrong because the database is away is `Unavailable`: try again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from hashlib import blake2b
from importlib.resources import files
from tempfile import TemporaryDirectory
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from diptych.errors import BadDatabase, Unavailable
from diptych.read.db.cancellation import to_its_end
from diptych.read.db.engines import PATIENCE_S, Bell, Engines, engines_for
from diptych.read.db.straight import Found
from diptych.store.location import Place

SCHEMA_VERSION = 3
MEMORY = "sqlite:///:memory:"
_LOOK_AGAIN_S = 0.05


class ReadDatabase:
    """
    Where read models and their checkpoints rest; made by `open_read_db`.

    Attributes:
        secret: What cursors are signed with, the same wherever this database is open.
    """

    secret: bytes

    def __init__(self, engines: Engines) -> None:
        self._engines = engines
        self.secret = b""
        self._turns = asyncio.Lock() if engines.one_writer else nullcontext()
        self._place: Place | None = None
        self._bell: Bell | None = None
        self._hearers: set[Callable[[], None]] = set()
        self._closing: set[asyncio.Task[None]] = set()

    @property
    def dialect_name(self) -> str:
        """Which SQL it speaks."""
        return self._engines.writer.dialect.name

    @property
    def one_writer(self) -> bool:
        """Whether it takes one writing transaction at a time, so that a long one holds all others up."""
        return self._engines.one_writer

    def stay_with_the_file(self) -> None:
        """From now on, use only the file that is there now: one that is put in its place is not the same."""
        if self._engines.file is not None:
            self._place = Place(str(self._engines.file), what="the read database")

    async def hang_bell(self) -> None:
        """From now on, processes that have this database open can tell each other that something moved in it."""
        if self._engines.channel is not None and self._engines.bell is not None:
            async with self.snapshot() as connection:
                channel: str = (await connection.execute(self._engines.channel)).scalar_one()
            self._bell = self._engines.bell(channel, self._heard)

    def tell(self) -> None:
        """Let other processes know that something moved: a hint, and only where the database can pass it on."""
        if self._bell is not None:
            self._bell.ring()

    def listen(self, heard: Callable[[], None]) -> None:
        """Call *heard* soon after something moved, as far as that gets about; who waits also looks by himself."""
        self._hearers.add(heard)
        if self._bell is not None:
            self._bell.listen()

    def unlisten(self, heard: Callable[[], None]) -> None:
        """Call it no more."""
        self._hearers.discard(heard)

    async def close(self) -> None:
        """Close every connection."""
        if self._bell is not None:
            await self._bell.close()
        if self._closing:
            await asyncio.wait(self._closing, timeout=PATIENCE_S)
        await self._engines.dispose()

    @asynccontextmanager
    async def apart(self) -> AsyncIterator["ReadDatabase"]:
        """The same database on connections of its own, such as for the event loop of another thread."""
        engines = self._engines.again()
        other = ReadDatabase(engines)
        other._place = self._place  # it is of this class
        try:
            yield other
        finally:
            await engines.dispose()

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
        async with self._connected(self._engines.readers) as connection:
            yield connection

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[AsyncConnection]:
        """
        A connection in a writing transaction, begun by its first statement.

        It is committed at the end of the block, and rolled back on an error.

        Raises:
            Unavailable: The database is away; nothing was written.
        """
        async with self._turns, self._connected(self._engines.writer) as connection:
            try:
                yield connection
                await connection.commit()
            except OperationalError:
                # What is wrong may be in the connection: one opened while the file was read-only stays so.
                await connection.invalidate()
                raise

    async def fetch(self, statement: str, parameters: Sequence[Any]) -> Found:
        """
        What a single statement finds, which is a snapshot of its own.

        Raises:
            Unfit: It can't be answered this way now; a snapshot tells why.
        """
        self._insist_on_the_file()
        return await self._engines.straight.fetch(statement, parameters)

    async def snapshots_end(self, timeout_s: float) -> bool:
        """
        Wait until every snapshot that is open now has ended; False when the time was up before.

        A table that is dropped is gone at once for PostgreSQL's snapshots; SQLite's keep it.
        """
        if self._engines.older_snapshots is None:
            return True
        deadline = asyncio.get_running_loop().time() + timeout_s
        async with self._connected(self._engines.writer) as connection:
            now = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
            while (await connection.execute(self._engines.older_snapshots, {"now": now})).scalar_one():
                if asyncio.get_running_loop().time() > deadline:
                    return False
                await connection.rollback()
                await asyncio.sleep(_LOOK_AGAIN_S)
        return True

    @asynccontextmanager
    async def _connected(self, engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
        self._insist_on_the_file()
        with self._translated():
            connection = await self._connection(engine)
            try:
                yield connection
            finally:
                await to_its_end(self._to_be_closed(connection.close()), patience_s=PATIENCE_S)

    async def _connection(self, engine: AsyncEngine) -> AsyncConnection:
        opening = asyncio.ensure_future(engine.connect())
        try:
            return await to_its_end(opening)
        except asyncio.CancelledError:
            _ = self._to_be_closed(_given_back(opening))
            raise
        except OSError as error:  # on the way to a server; one in a handler of a projection is its own affair
            raise self._away(error) from error

    def _to_be_closed(self, closing: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        """Close a connection, though whoever waits for that is cancelled again and again."""
        task = asyncio.create_task(closing)
        self._closing.add(task)
        task.add_done_callback(self._closing.discard)
        return task

    def _insist_on_the_file(self) -> None:
        if self._place is not None:
            self._place.check()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Errors that mean *away* as `Unavailable`; the others as they are."""
        try:
            yield
        except (DBAPIError, PoolTimeoutError) as error:
            if not self._engines.is_away(error):
                raise
            raise self._away(error.orig if isinstance(error, DBAPIError) else error) from error

    def _heard(self) -> None:
        for heard in tuple(self._hearers):
            heard()

    def _away(self, cause: BaseException | None) -> Unavailable:
        return Unavailable(f"the read database {self._engines.name} can't be used now: {cause}")


async def _given_back(opening: "asyncio.Future[AsyncConnection]") -> None:
    """Close what came to be when nobody was left who wanted it; whoever was there knows why it did not."""
    await asyncio.wait([opening])
    if not opening.cancelled() and opening.exception() is None:
        await opening.result().close()


@asynccontextmanager
async def open_read_db(url: str, *, cursor_key: str | None = None) -> AsyncIterator[ReadDatabase]:
    """
    Open a read database for as long as the block runs; it is made where there is none.

    Args:
        url: `sqlite:///relative.db`, `sqlite:////absolute.db`, `sqlite:///:memory:` for one that
            goes when the block ends, or `postgresql://user@host:port/database`.
        cursor_key: What cursors are signed with. Default: a secret that was made with the database.

    Raises:
        BadDatabase: The URL names nothing that can be opened, or a schema of newer code.
    """
    if url == MEMORY:
        with TemporaryDirectory(prefix="diptych-") as folder:
            async with open_read_db(f"sqlite:///{folder}/read.db", cursor_key=cursor_key) as read_db:
                yield read_db
        return
    engines = engines_for(url)
    read_db = ReadDatabase(engines)
    try:
        await _create_schema(read_db, engines)
        read_db.secret = blake2b((cursor_key or await _secret(read_db)).encode()).digest()
        read_db.stay_with_the_file()
        await read_db.hang_bell()
        yield read_db
    finally:
        await read_db.close()


async def _create_schema(read_db: ReadDatabase, engines: Engines) -> None:
    """Bring the schema to this code's version, one numbered file after another."""
    async with read_db.begin() as connection:
        found = await engines.schema_version(connection)
        if found > SCHEMA_VERSION:
            raise BadDatabase(
                f"the read database has schema {found}, this code knows {SCHEMA_VERSION}: use newer code with it"
            )
        for number in range(found + 1, SCHEMA_VERSION + 1):
            await _run_script(connection, _script(read_db.dialect_name, number))
            await engines.set_schema_version(connection, number)


async def _secret(read_db: ReadDatabase) -> str:
    statement = files("diptych.read").joinpath("sql", "secret.sql").read_text("utf-8")
    async with read_db.snapshot() as connection:
        secret: str = (await connection.execute(text(statement))).scalar_one()
    return secret


def _script(dialect: str, number: int) -> str:
    return files("diptych.read").joinpath("sql", dialect, f"schema_{number:04}.sql").read_text("utf-8")


async def _run_script(connection: AsyncConnection, script: str) -> None:
    """One statement after another: not every driver takes several at once."""
    for statement in script.split(";\n"):
        if statement.strip():
            await connection.exec_driver_sql(statement)
