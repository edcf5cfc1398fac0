"""
Look at a server: what it is, how it is set, and who holds up whom since when.

Changes nothing, and makes nothing.
"""

from collections.abc import Iterator
from typing import Any

from diptych.store.finding import Finding, Kind, lasting, of_schema, ok, problem, warning
from diptych.store.postgres.connection import Connection, Server, explain, farewell
from diptych.store.postgres.schema import OLDEST_SERVER, SAFE
from diptych.store.statements import statements

OLD_S, WAITED_S, HELD_S = 60.0, 1.0, 1.0
CROWDED = 0.8
PATIENCE_S = 5.0
LOG_TABLE = "diptych_log"
_SQL = statements("postgres")


async def examine(url: str, kind: Kind) -> list[Finding]:
    """What is so with the server behind a URL, and with what it is to hold."""
    server = Server.at(url)
    try:
        connection = await server.connect(PATIENCE_S)
        try:
            return [finding async for finding in _findings(connection, server, kind)]
        finally:
            await farewell(connection)
    except Exception as error:
        raise explain(error, server.name) from error


async def _findings(connection: Connection, server: Server, kind: Kind) -> Any:
    (row,) = await connection.fetch(_SQL["health_server"])
    for finding in (*_of_server(connection, server, row), *_of_settings(kind, server, row)):
        yield finding
    version = await _schema_version(connection, kind)
    yield of_schema(kind, version)
    for name, seconds, told in (
        ("health_blocked", (WAITED_S,), _blocked),
        ("health_transactions", (OLD_S,), _old),
        ("health_prepared", (), _prepared),
        *((("order_lock_holder", (), _order_lock),) if kind.table == LOG_TABLE and version else ()),
    ):
        for found in await connection.fetch(_SQL[name], *seconds):
            for finding in told(found):
                yield finding


async def _schema_version(connection: Connection, kind: Kind) -> int:
    if not await connection.fetchval(_SQL["health_schema"], kind.table):
        return 0
    rows = await connection.fetch(_SQL["identity" if kind.table == LOG_TABLE else "health_read_schema"])
    return rows[0]["schema_version"] if rows else 0


def _of_server(connection: Connection, server: Server, row: Any) -> Iterator[Finding]:
    what = f"PostgreSQL {row['version']} at {server.name}"
    oldest = OLDEST_SERVER // 10_000
    if connection.get_server_version().major < oldest:
        yield problem("server", f"{what} is too old", f"upgrade it: {oldest} or newer is needed")
    else:
        yield ok("server", what)
    if row["connected"] > CROWDED * row["allowed"]:
        crowded = f"{row['connected']} of {row['allowed']} connections are taken"
        yield warning("server", crowded, "close some, raise max_connections, or put a pooler between")


def _of_settings(kind: Kind, server: Server, row: Any) -> Iterator[Finding]:
    for name, safe in SAFE.items():
        if row[name] != safe:
            told = warning if server.unsafe else problem
            yield told("settings", f"{name}={row[name]}: what was acknowledged can be lost", f"set {name}={safe}")
    if row["isolation"] != "read committed":
        cure = "ALTER ROLE … SET default_transaction_isolation = 'read committed'"
        yield problem("settings", f"transactions begin as {row['isolation']}: appends are refused", cure)
    if row["in_recovery"] and kind.table == LOG_TABLE:
        yield problem("settings", "the server is a standby, which takes no appends", "name the primary as the log")


def _blocked(row: Any) -> Iterator[Finding]:
    waits = f"process {row['pid']} ({row['application_name'] or 'unnamed'}) has waited {lasting(row['seconds'])}"
    if row["blocker"] == 0:
        yield problem("blocked", f"{waits} for a prepared transaction", "end it; it is listed here as prepared")
    elif row["blocker_state"] is None:
        yield problem(
            "blocked", f"{waits} for process {row['blocker']}", f"SELECT pg_terminate_backend({row['blocker']})"
        )
    else:
        by = _process(row["blocker"], row["blocker_name"], row["blocker_state"], row["blocker_seconds"])
        cure = f"end its transaction: SELECT pg_terminate_backend({row['blocker']})"
        yield problem("blocked", f"{waits} for {by}: {row['blocker_query']}", cure)


def _old(row: Any) -> Iterator[Finding]:
    who = _process(row["pid"], row["application_name"], row["state"], row["seconds"])
    cure = f"end it: SELECT pg_terminate_backend({row['pid']}); set idle_in_transaction_session_timeout against more"
    yield warning("transaction", f"{who}: dead rows are kept for it: {row['query']}", cure)


def _prepared(row: Any) -> Iterator[Finding]:
    what = (
        f"transaction {row['gid']!r} of {row['owner']} was prepared {lasting(row['seconds'])} ago and holds its locks"
    )
    yield warning("prepared", what, f"COMMIT PREPARED or ROLLBACK PREPARED '{row['gid']}'")


def _order_lock(row: Any) -> Iterator[Finding]:
    if (row["seconds"] or 0.0) >= HELD_S:
        who = _process(row["pid"], row["application_name"], row["state"], row["seconds"])
        cure = f"end its transaction: SELECT pg_terminate_backend({row['pid']})"
        yield problem("order lock", f"{who} holds it, and nobody can append: {row['query']}", cure)


def _process(pid: int, name: str | None, state: str | None, seconds: float | None) -> str:
    return f"process {pid} ({name or 'unnamed'}, {state}), in a transaction for {lasting(seconds)}"
