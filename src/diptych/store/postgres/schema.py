"""
Make a log's tables, or recognise those that are there.

Several processes may do this at once: an advisory lock lets one make the tables,
in one transaction, and the others find them. A role that may not create tables can
open a log whose tables are there.
"""

from typing import Any

from diptych.errors import BadDatabase
from diptych.message import new_id
from diptych.store.port import LogIdentity
from diptych.store.postgres.connection import Connection, Server
from diptych.store.statements import schema, statements

OLDEST_SERVER = 150000
_SCHEMA = schema("postgres")
_SQL = statements("postgres")
SAFE = {"fsync": "on", "full_page_writes": "on"}


async def prepare(connection: Connection, server: Server) -> LogIdentity:
    """
    Bring the database to the newest schema; the identity of the log in it.

    Raises:
        BadDatabase: A server that can't keep the promise, or a schema of newer code.
    """
    await _check_server(connection, server)
    found = await _identity(connection)
    if found is None or found["schema_version"] < len(_SCHEMA):
        async with connection.transaction(isolation="read_committed"):
            await connection.execute(_SQL["migration_lock"])
            await _apply_missing(connection)
        found = await _identity(connection)
    assert found is not None
    if found["schema_version"] > len(_SCHEMA):
        raise BadDatabase(
            f"the log at {server.name} has schema version {found['schema_version']}, "
            f"this code knows {len(_SCHEMA)}: upgrade diptych"
        )
    return LogIdentity(found["log_id"], found["incarnation"])


async def _check_server(connection: Connection, server: Server) -> None:
    (row,) = await connection.fetch(_SQL["server"])
    if row["version"] < OLDEST_SERVER:
        raise BadDatabase(
            f"the server at {server.name} is PostgreSQL {row['version'] // 10_000}: 15 or newer is needed"
        )
    if row["encoding"] != "UTF8":
        raise BadDatabase(f"the database {server.name} has encoding {row['encoding']}: make one with UTF8")
    if row["in_recovery"]:
        raise BadDatabase(f"{server.name} is a standby, which takes no appends: name the primary as the log")
    for name, safe in SAFE.items():
        if row[name] != safe and not server.unsafe:
            raise BadDatabase(
                f"the server at {server.name} has {name}={row[name]} and can lose what it acknowledged: "
                f"set {name}={safe}, or accept the loss with ?unsafe=true in the URL"
            )


async def _identity(connection: Connection) -> Any | None:
    if not await connection.fetchval(_SQL["has_log"]):
        return None
    rows = await connection.fetch(_SQL["identity"])
    return rows[0] if rows else None


async def _apply_missing(connection: Connection) -> None:
    found = await _identity(connection)  # somebody else may have been here first
    version = found["schema_version"] if found else 0
    for step in _SCHEMA[version:]:
        await connection.execute(step)
    if found is None:
        await connection.execute(_SQL["create_log"], new_id())
    if version < len(_SCHEMA):
        await connection.execute(_SQL["set_schema_version"], len(_SCHEMA))
