"""
Examine an application's surroundings: versions, both databases, who holds up whom, and whether all fits together.

Changes nothing, and makes nothing. Each finding that isn't well comes with what cures it.
"""

import platform
from collections.abc import AsyncIterator, Sequence
from importlib.metadata import PackageNotFoundError, version

import apsw

from diptych.errors import DiptychError
from diptych.log import EventStore, open_store
from diptych.read.books import checkpoint
from diptych.read.books.checkpoint import Generation
from diptych.read.books.wait import FINAL
from diptych.read.db.database import SCHEMA_VERSION as READ_SCHEMA
from diptych.read.db.database import ReadDatabase, open_read_db
from diptych.read.db.sqlite import APPLICATION_ID as READ_FILE
from diptych.read.follow.place import REPAIR, why_no_place
from diptych.read.projections.projection import AnyProjection
from diptych.read.synchronizer import ReadModelSynchronizer
from diptych.read.tend.leftovers import left_behind
from diptych.read.tend.status import ProjectionStatus
from diptych.store import examine
from diptych.store.finding import Finding, Kind, Severity, ok, problem, warning
from diptych.store.location import names_same_file
from diptych.store.statements import schema

_PACKAGES = ("diptych", "msgspec", "sqlalchemy", "asyncpg", "fastapi", "uvicorn")


async def diagnose(log: str, read: str, projections: Sequence[AnyProjection] = ()) -> list[Finding]:
    """
    What is so with an application's surroundings; worst is to be cured first.

    Args:
        log: URL of the log; see `open_store`.
        read: URL of the read database; see `open_read_db`.
        projections: Those whose states are of interest.
    """
    found = [ok("versions", _versions())]
    if names_same_file(log, read):
        found.append(problem("settings", f"log and read models are both to be in {log}", "give each its own file"))
    of_log, of_read = await _examined(log, _log_kind(log)), await _examined(read, _READ_KIND)
    found += [*of_log, *of_read]
    if _is_usable(of_log, "log") and _is_usable(of_read, "read database"):
        found += [finding async for finding in _together(log, read, projections)]
    return list(dict.fromkeys(found))


_READ_KIND = Kind("read database", "diptych_read", READ_FILE, READ_SCHEMA)


def _log_kind(url: str) -> Kind:
    from diptych.store.sqlite.schema import APPLICATION_ID as LOG_FILE  # no backend is loaded before it is needed

    dialect = "sqlite" if url.startswith("sqlite:") else "postgres"
    return Kind("log", "diptych_log", LOG_FILE, len(schema(dialect)))


def _versions() -> str:
    found = [f"Python {platform.python_version()}", f"SQLite {apsw.sqlite_lib_version()}"]
    for name in _PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)


async def _examined(url: str, kind: Kind) -> list[Finding]:
    try:
        return await examine(url, kind)
    except DiptychError as error:
        return [_of_error(kind.name, error)]


def _of_error(about: str, error: DiptychError) -> Finding:
    """An error says what is so and, behind a colon, what to do."""
    what, _, cure = str(error).rpartition(": ")
    return problem(about, what or cure, cure)


def _is_usable(found: Sequence[Finding], kind: str) -> bool:
    """Whether it can be opened without making or changing anything."""
    return any((each.about, each.severity) == (kind, Severity.OK) for each in found)


async def _together(log: str, read: str, projections: Sequence[AnyProjection]) -> AsyncIterator[Finding]:
    """Whether both belong together, and how the projections between them are doing."""
    try:
        async with open_store(log, _events(projections)) as event_store, open_read_db(read) as read_db:
            identity, head = event_store.identity, await event_store.head()
            yield ok("identity", f"log {identity.log_id}, incarnation {identity.incarnation}, at position {head}")
            async for finding in _checkpoints(event_store, read_db):
                yield finding
            for status in await ReadModelSynchronizer(event_store, read_db, projections).status():
                yield _of_projection(status)
            for of in await left_behind(read_db, projections):
                yield _of_version(of)
    except DiptychError as error:
        yield _of_error("log", error)


async def _checkpoints(event_store: EventStore, read_db: ReadDatabase) -> AsyncIterator[Finding]:
    async with read_db.snapshot() as connection:
        every = await checkpoint.all_of(connection)
    for each in every:
        if why := await why_no_place(event_store, each):
            name = f"{each.of.projection} {each.of.version}.{each.of.generation} at position {each.position}"
            yield problem("checkpoint", f"{name} does not fit this log: {why}", REPAIR)


_ORDER = "diptych projections"
_CURES = {
    "faulted": f"mend the code and start it again; {_ORDER} retry {{name}}, or skip {{name}} --reason …",
    "needs newer code": "deploy the code that wrote the event",
    "rewound": REPAIR,
    "another log": REPAIR,
}


def _of_projection(status: ProjectionStatus) -> Finding:
    name = f"{status.name} {status.version}.{status.generation}"
    where = f"at position {status.checkpoint} of {status.head}"
    if status.state == "paused":
        return warning("projection", f"{name} is paused {where}", f"let it go on: {_ORDER} resume {status.name}")
    if status.state in FINAL:
        what = f"{name} is {status.state} {where}: {status.error}"
        return problem("projection", what, _CURES.get(status.state, "").format(name=status.name))
    if status.state == "no owner" or (status.owner is None and status.checkpoint < status.head):
        return warning("projection", f"{name} is {where}, and nobody keeps it in step", "start it: diptych worker")
    if status.state == "late" or status.parked:
        cure = "diptych status tells more: see what holds it up, or retry or skip what is parked"
        return warning("projection", status.note or name, cure)
    return ok("projection", f"{name} is {status.state}, {where}, kept in step by {status.owner or 'nobody'}")


def _of_version(of: Generation) -> Finding:
    what = f"version {of.version} of {of.projection} is kept, older than this code's, and no worker runs it"
    cure = f"when nobody goes back to it: {_ORDER} drop {of.projection} --version {of.version}"
    return warning("projection", what, cure)


def _events(projections: Sequence[AnyProjection]) -> list[type]:
    return [event for each in projections for event in each.handles() if not isinstance(event, str)]
