"""Every statement walks the index that its header names."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest

from diptych.store.sqlite import queries
from diptych.store.statements import schema, statements

STREAMS, IDS, CATEGORIES, TYPES = (
    "sqlite_autoindex_event_1 (stream=",
    "sqlite_autoindex_event_2 (id=?)",
    "event_category_position (category=? AND position>?)",
    "event_type_position (type=? AND position>?)",
)
COMMANDS = "SEARCH command USING PRIMARY KEY (id>?)"
PLANS = {
    "identity": ["SEARCH log USING INTEGER PRIMARY KEY (rowid=?)"],
    "log_end": ["SCAN event"],  # backwards from its end, for one row
    "head": ["SEARCH event"],  # likewise
    "stream_end": [STREAMS],
    "place_of_event": [IDS],
    "position_of": [STREAMS],
    "command": ["SEARCH command USING PRIMARY KEY (id=?)", STREAMS],
    "event_at": ["SEARCH event USING INTEGER PRIMARY KEY (rowid=?)"],
    "read_stream": [STREAMS],
    "read_all": ["SEARCH event USING INTEGER PRIMARY KEY (rowid>?)"],
    "read_categories": [CATEGORIES],
    "read_types": [TYPES],
    "read_many": ["SEARCH event USING INTEGER PRIMARY KEY (rowid>?)"],
    "streams": ["SEARCH began USING INTEGER PRIMARY KEY (rowid>?)", STREAMS],
    "streams_of_category": [CATEGORIES, STREAMS],
    "commands": [COMMANDS],
    "commands_through": [COMMANDS],
    "prune_commands": ["SEARCH command USING PRIMARY KEY (id>? AND id<?)"],
    "stored_command": ["SEARCH command USING PRIMARY KEY (id=?)"],
    "append_event": [],
    "record_command": [],
    "create_log": [],
    "become": ["SEARCH log USING INTEGER PRIMARY KEY (rowid=?)"],
}


@pytest.fixture
def connection() -> Iterator[apsw.Connection]:
    """An empty log in memory."""
    connection = apsw.Connection("")
    for step in schema("sqlite"):
        connection.execute(step)
    yield connection
    connection.close()


def plan(connection: apsw.Connection, sql: str) -> str:
    nulls = defaultdict[str, None](lambda: None)
    return "\n".join(row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {sql}", nulls))


def test_every_statement_has_a_plan_here() -> None:
    assert set(statements("sqlite")) == set(PLANS)


@pytest.mark.parametrize("name", sorted(PLANS))
def test_a_statement_keeps_to_its_plan(connection: apsw.Connection, name: str) -> None:
    steps = plan(connection, statements("sqlite")[name])

    assert [index for index in PLANS[name] if index not in steps] == []
    assert "TEMP B-TREE" not in steps


@pytest.mark.parametrize(
    ("types", "categories"), [(["A", "B", "C"], []), ([], ["A", "B", "C"]), (["A", "B"], ["C", "D"])]
)
def test_several_types_or_categories_are_merged_and_never_sorted(
    connection: apsw.Connection, types: list[str], categories: list[str]
) -> None:
    sql, bindings = queries._page_statement(categories, types)

    steps = plan(connection, sql)

    assert "MERGE (UNION ALL)" in steps
    assert steps.count(TYPES if types else CATEGORIES) == len(types or categories)
    assert "TEMP B-TREE" not in steps
    assert connection.execute(sql, {"after": 0, "limit": 1, **bindings}).fetchall() == []


def test_a_header_is_not_sent() -> None:
    assert {sql.split(maxsplit=1)[0] for sql in statements("sqlite").values()} == {
        "SELECT",
        "INSERT",
        "UPDATE",
        "DELETE",
    }


def test_schema_files_are_numbered_from_1_without_a_gap() -> None:
    folder = Path(queries.__file__).parents[1] / "sql" / "sqlite"

    names = sorted(path.name for path in folder.glob("schema_*.sql"))

    assert names == [f"schema_{number:04}.sql" for number in range(1, len(names) + 1)]
    assert len(schema("sqlite")) == len(names)
