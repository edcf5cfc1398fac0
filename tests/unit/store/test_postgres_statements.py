"""What PostgreSQL looks at for a page is no more than the page needs, whatever it believes of the log."""

import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import asyncpg
import pytest

from diptych import open_store
from diptych.store.postgres.pages import MOST_BYTES, REACH, events_after
from diptych.store.statements import statements

LENGTH, LIMIT = 20_000, 100
UPTO, MORE = REACH * LIMIT, f"',', {MOST_BYTES}"
INSERT = """
INSERT INTO diptych_event
    (position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at)
"""
FILL = f"""
{INSERT}
SELECT n, k.name || '-' || n, k.name, 1, k.name, 1, n::text, '{{}}', '{{}}', n
FROM generate_series(1, {LENGTH}) AS n
CROSS JOIN LATERAL (
    SELECT CASE WHEN n = {LENGTH - 50} THEN 'Rare' WHEN n < 5000 AND n % 4 = 0 THEN 'Early' ELSE 'Usual' END AS name
) AS k
"""
PAGES = {
    "read_near": "PREPARE page (bigint, bigint, bigint, text[], text[], text, bigint) AS",
    "read_types": "PREPARE page (bigint, bigint, text[], text[]) AS",
    "read_categories": "PREPARE page (bigint, bigint, text[]) AS",
    "read_all": "PREPARE page (bigint, bigint) AS",
    "streams_of_category": "PREPARE page (bigint, bigint, text) AS",
}


@pytest.fixture
async def connection(postgres: Callable[[int], str]) -> "AsyncIterator[asyncpg.Connection[Any]]":
    """To a log whose types lie unevenly."""
    url = postgres(18)
    async with open_store(url, events=[]):
        pass
    connection = await asyncpg.connect(url)
    await connection.execute(FILL)
    yield connection
    await connection.close()


@pytest.mark.parametrize("is_analyzed", [False, True])
@pytest.mark.parametrize("mode", ["force_custom_plan", "force_generic_plan"])
@pytest.mark.parametrize(
    ("name", "arguments", "most"),
    [
        ("read_near", f"0, {UPTO}, {LIMIT}, NULL, NULL, {MORE}", 2 * UPTO),
        ("read_near", f"5000, {5000 + UPTO}, {LIMIT}, '{{Early,Rare}}', NULL, {MORE}", 2 * UPTO),
        ("read_near", f"5000, {5000 + UPTO}, {LIMIT}, NULL, '{{Early,Rare}}', {MORE}", 2 * UPTO),
        ("read_types", f"0, {LIMIT}, '{{Rare}}', NULL", 2),
        ("read_types", f"6000, {LIMIT}, '{{Rare,Early}}', NULL", 2),
        ("read_types", f"0, {LIMIT}, '{{Rare,Early,Usual}}', NULL", 3 * LIMIT + 2),
        ("read_types", f"0, {LIMIT}, '{{Rare,Early}}', '{{Rare,Early}}'", 2 * LIMIT + 2),
        ("read_categories", f"0, {LIMIT}, '{{Rare}}'", 2),
        ("read_categories", f"6000, {LIMIT}, '{{Rare,Early}}'", 2),
        ("read_all", f"5000, {LIMIT}", LIMIT),
        ("streams_of_category", f"0, {LIMIT}, 'Rare'", 2),
        ("streams_of_category", f"6000, {LIMIT}, 'Early'", 0),
    ],
)
async def test_a_page_takes_no_more_rows_than_it_needs(
    connection: "asyncpg.Connection[Any]", name: str, arguments: str, most: int, mode: str, *, is_analyzed: bool
) -> None:
    if is_analyzed:
        await connection.execute("VACUUM ANALYZE diptych_event")
    await connection.execute(f"SET plan_cache_mode = {mode}")
    await connection.execute(f"{PAGES[name]} {statements('postgres')[name]}")

    (plan,) = json.loads(await connection.fetchval(f"EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page ({arguments})"))

    assert sum(map(rows, scans(plan["Plan"]))) <= most + 1, plan  # one for the log's end


async def test_large_events_are_not_put_together_in_the_memory_of_the_server(
    connection: "asyncpg.Connection[Any]",
) -> None:
    large = "{" + " " * (MOST_BYTES // LIMIT - 12) + "}"  # so many fit, but not with their names and metadata
    more = "SELECT $1 + n, 'L-' || n, 'L', 1, 'L', 1, 'L' || n, $3, '{}', n FROM generate_series(1, $2) AS n"
    await connection.execute(INSERT + more, LENGTH, LIMIT, large)
    sent: list[tuple[str, int]] = []

    async def fetch(statement: str, *arguments: Any) -> list[Any]:
        rows = await connection.fetch(statement, *arguments)
        sent.append((statement, sum(len(value) for value in rows[0].values() if isinstance(value, bytes))))
        return rows

    async def page(after: int) -> list[tuple[int, bytes]]:
        found = await events_after(fetch, after, LIMIT, [], [])
        return [(event.position, event.payload) for event in found.events]

    told = [(LENGTH, b"{}"), *((LENGTH + n, large.encode()) for n in range(1, LIMIT + 1))]
    assert await page(LENGTH) == told[1:]
    assert sent == [(statements("postgres")["read_near"], 0), (statements("postgres")["read_all"], 0)]
    assert await page(LENGTH - 1) == told[:-1]
    [(_, together)] = sent[2:]
    assert len(large) * (LIMIT - 1) < together < MOST_BYTES


def scans(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every scan of the log within a plan."""
    if plan.get("Relation Name") == "diptych_event":
        yield plan
    for each in plan.get("Plans", []):
        yield from scans(each)


def rows(scan: dict[str, Any]) -> float:
    """How many rows a scan looked at."""
    seen = scan["Actual Rows"] + sum(scan.get(f"Rows Removed by {why}", 0) for why in ("Filter", "Index Recheck"))
    return float(seen * scan["Actual Loops"])
