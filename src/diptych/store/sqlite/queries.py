"""Ask the log: every look that changes nothing, on whichever connection is at hand."""

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import apsw

from diptych.store.port import CommandRecord, Outcome, Page, StoredCommand, StoredEvent, StreamEnd, StreamRow
from diptych.store.statements import statements

_SQL = statements("sqlite")

# More arms than this cost more to prepare than walking past a few unwanted events.
_MOST_ARMS = 32


def read_page(
    connection: apsw.Connection, after: int, limit: int, categories: Collection[str], types: Collection[str]
) -> Page:
    """Matching events after a position and how far they reach, seen in one snapshot."""
    sql, bindings = _page_statement(sorted(set(categories)), sorted(set(types)))
    connection.execute("BEGIN")
    try:
        events = _events(connection.execute(sql, {"after": after, "limit": limit, **bindings}))
        through = events[-1].position if len(events) == limit else read_head(connection)
    finally:
        connection.execute("COMMIT")
    return Page(events, max(after, through))


def read_stream(connection: apsw.Connection, stream: str, after: int, limit: int | None) -> Sequence[StoredEvent]:
    """Events of one stream after a version, in order."""
    bindings = {"stream": stream, "after": after, "limit": -1 if limit is None else limit}
    return _events(connection.execute(_SQL["read_stream"], bindings))


def read_streams(connection: apsw.Connection, after: int, limit: int, category: str | None) -> Sequence[StreamRow]:
    """Streams in the order they began in."""
    bindings = {"after": after, "limit": limit, "category": category}
    rows = connection.execute(_SQL["streams" if category is None else "streams_of_category"], bindings)
    return tuple(StreamRow(*row) for row in rows)


def read_commands(connection: apsw.Connection, after: str, limit: int) -> Sequence[StoredCommand]:
    """Commands in the order of their ids."""
    rows = connection.execute(_SQL["commands"], {"after": after, "limit": limit})
    return tuple(StoredCommand(*row) for row in rows)


def event_at(connection: apsw.Connection, position: int) -> StoredEvent | None:
    """The event at exactly this position."""
    return next(iter(_events(connection.execute(_SQL["event_at"], {"position": position}))), None)


def position_of(connection: apsw.Connection, stream: str, version: int) -> int | None:
    """The position of a stream's version."""
    position: int | None = connection.execute(_SQL["position_of"], {"stream": stream, "version": version}).get
    return position


def read_head(connection: apsw.Connection) -> int:
    """The highest position committed; 0 for an empty log."""
    head: int = connection.execute(_SQL["head"]).get
    return head


def first_outcome(connection: apsw.Connection, id: str) -> Outcome | None:
    """The first outcome of a command; None if it was never accepted."""
    row = connection.execute(_SQL["command"], (id,)).fetchone()
    if row is None:
        return None
    digest, result, stream, version, end, position = row
    ends = (StreamEnd(stream, version, end),) if stream else ()
    return Outcome(ends, position, CommandRecord(id, digest, result, stream, version), repeated=True)


def _page_statement(categories: Sequence[str], types: Sequence[str]) -> tuple[str, dict[str, Any]]:
    if not categories and not types:
        return _SQL["read_all"], {}
    if len(types or categories) > _MOST_ARMS:
        return _SQL["read_many"], {"types": _json(types), "categories": _json(categories)}
    if types:
        sql, bindings = _with_arms(_SQL["read_types"], "type", types)
        return sql, {**bindings, "categories": _json(categories)}
    return _with_arms(_SQL["read_categories"], "category", categories)


def _with_arms(sql: str, name: str, wanted: Sequence[str]) -> tuple[str, dict[str, Any]]:
    """The statement with its one arm, the line that names the parameter, said for each wanted value."""
    parameter = f":{name} "
    arm = next(line for line in sql.splitlines() if parameter in line)
    bindings = {f"{name}_{number}": value for number, value in enumerate(wanted)}
    arms = "\nUNION ALL\n".join(arm.replace(parameter, f":{key} ") for key in bindings)
    return sql.replace(arm, arms), bindings


def _json(values: Sequence[str]) -> str | None:
    return json.dumps(values) if values else None


def _events(rows: Iterable[Sequence[Any]]) -> Sequence[StoredEvent]:
    return tuple(StoredEvent(*row) for row in rows)
