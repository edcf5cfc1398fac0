"""
Make a log's tables, or recognise those that are there.

A file that is anything else than a log, or was made by newer code, is refused
untouched. Several processes may do this at once: one makes the tables, in one
transaction, and the others find them.
"""

import apsw

from diptych.errors import BadDatabase
from diptych.message import new_id
from diptych.store.port import LogIdentity
from diptych.store.sqlite.connection import connect_writer, explain, insist, prepare_writer
from diptych.store.statements import schema, statements

APPLICATION_ID = 0x44697074  # "Dipt", found by file(1) and by `PRAGMA application_id`

_SCHEMA = schema("sqlite")
_SQL = statements("sqlite")


def check_file(connection: apsw.Connection) -> None:
    """
    Refuse a file that is no log, or a newer one, without changing it.

    Raises:
        BadDatabase: The message says what the file is instead.
    """
    with connection:  # one snapshot: another process may be making the tables
        application, version = _pragma(connection, "application_id"), _pragma(connection, "user_version")
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").get
    if application == APPLICATION_ID and version > len(_SCHEMA):
        raise BadDatabase(
            f"the log {connection.filename} has schema version {version}, "
            f"this code knows {len(_SCHEMA)}: upgrade diptych"
        )
    if application != APPLICATION_ID and (application, version, tables) != (0, 0, 0):
        raise BadDatabase(f"{connection.filename} is a SQLite database but not a log: name another file for the log")


def make_tables(connection: apsw.Connection) -> LogIdentity:
    """Bring the file to the newest schema; the identity of the log in it."""
    if _pragma(connection, "user_version") < len(_SCHEMA):
        insist(lambda: connection.execute("BEGIN IMMEDIATE"))
        try:
            _apply_missing(connection)
        except BaseException:
            if connection.in_transaction:  # a full disk has ended it already, and its error is the one to tell
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    log_id, incarnation = connection.execute(_SQL["identity"]).get
    return LogIdentity(log_id, incarnation)


def become(path: str, identity: LogIdentity) -> None:
    """Write another identity into the file."""
    connection = connect_writer(path)
    try:
        prepare_writer(connection)
        values = {"log_id": identity.log_id, "incarnation": identity.incarnation}
        insist(lambda: connection.execute(_SQL["become"], values).fetchall())
    except apsw.Error as error:
        raise explain(error, path) from error
    finally:
        connection.close()


def _apply_missing(connection: apsw.Connection) -> None:
    check_file(connection)  # somebody else may have been here first
    version = _pragma(connection, "user_version")
    for step in _SCHEMA[version:]:
        connection.execute(step).fetchall()
    if version == 0:
        connection.execute(_SQL["create_log"], {"log_id": new_id()})
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {len(_SCHEMA)}")


def _pragma(connection: apsw.Connection, name: str) -> int:
    return int(connection.execute(f"PRAGMA {name}").get)
