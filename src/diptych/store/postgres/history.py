"""
Put in place what another log holds, and forget old commands: on a connection of its own, a bounded transaction a call.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from diptych.store.port import Pruned, StoredCommand, StoredEvent
from diptych.store.postgres.connection import Connection, Server, explain, farewell
from diptych.store.rules import check_goes_on, unknown_of
from diptych.store.statements import statements

_SQL = statements("postgres")


async def put(
    server: Server, patience_s: float, events: Sequence[StoredEvent], commands: Sequence[StoredCommand]
) -> None:
    """Store events and commands as they are given; see `Store.put`."""
    async with _transaction(server, patience_s) as connection:
        await connection.execute(_SQL["order_lock"], str(int(patience_s * 1000)))
        ends = await connection.fetch(_SQL["stream_ends"], list({event.stream for event in events}))
        end = await connection.fetchrow(_SQL["log_end"])
        head, recorded_at = end or (0, 0)
        by_stream = {row["stream"]: (row["version"], row["category"]) for row in ends}
        check_goes_on(events, head=head, recorded_at=recorded_at, ends=by_stream)
        new = unknown_of(commands, await _known(connection, commands))
        if events:
            await connection.execute(_SQL["put_events"], *_columns(events))
        if new:
            await connection.execute(_SQL["put_commands"], *_columns(new))


async def prune(server: Server, patience_s: float, before: int, after: str, limit: int) -> Pruned:
    """Forget old commands, and tell how far it looked; see `Store.prune_commands`."""
    async with _transaction(server, patience_s) as connection:
        row = await connection.fetchrow(_SQL["prune_commands"], before, after, limit)
        assert row is not None
        return Pruned(row["forgotten"], row["through"])


def command_of(row: Sequence[object]) -> StoredCommand:
    """A command's record from its row."""
    id, digest, result, *rest = row
    return StoredCommand(id, digest, str(result).encode(), *rest)  # type: ignore[arg-type]


async def _known(connection: Connection, commands: Sequence[StoredCommand]) -> dict[str, StoredCommand]:
    rows = await connection.fetch(_SQL["stored_commands"], [command.id for command in commands])
    return {row["id"]: command_of(tuple(row)) for row in rows}


_BYTES_AS_TEXT = {"payload", "metadata", "result"}


def _columns(records: Sequence[StoredEvent] | Sequence[StoredCommand]) -> list[list[object]]:
    """The values of each field, JSON as text."""
    return [
        [getattr(record, name).decode() if name in _BYTES_AS_TEXT else getattr(record, name) for record in records]
        for name in records[0].__struct_fields__
    ]


@asynccontextmanager
async def _transaction(server: Server, patience_s: float) -> AsyncIterator[Connection]:
    try:
        connection = await server.connect(patience_s)
        try:
            async with connection.transaction(isolation="read_committed"):
                await connection.execute("SET LOCAL synchronous_commit = on")  # whatever the server's own setting is
                yield connection
        finally:
            await farewell(connection)
    except Exception as error:
        raise explain(error, server.name) from error
