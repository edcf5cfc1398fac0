"""
The thousandth page of a walk by cursor beside the first one: 20 of 20,000 rows, in the order of an indexed column.
"""

from decimal import Decimal
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from time import perf_counter

from benchmarks.append_postgres import server
from benchmarks.compare import Result, compare
from diptych import open_read_db
from diptych.testing.conformance.things import Things, thing, things_in

ROWS, SIZE, PAGE, PER_WRITE, CALLS = 20_000, 20, 1_000, 2_000, 100
ORDERS = {"newest": None, "amount": "-amount"}


async def run(scale: float) -> list[Result]:
    """Microseconds a page, on a SQLite file."""
    with TemporaryDirectory() as folder:
        return await _rows("sqlite", f"sqlite:///{Path(folder) / 'read.db'}", scale)


async def run_postgres(scale: float) -> list[Result]:
    """Microseconds a page, on PostgreSQL."""
    with server() as cluster:
        return await _rows("postgres", cluster.url(), scale)


async def _rows(backend: str, read: str, scale: float) -> list[Result]:
    random = Random(1)
    async with open_read_db(read) as read_db:
        things = await things_in(read_db)
        for first in range(0, ROWS, PER_WRITE):
            numbers = range(first + 1, first + PER_WRITE + 1)
            rows = [thing(str(n), amount=Decimal(random.randrange(100_000)) / 100) for n in numbers]
            await things.put(*rows, position=first + 1)
        return [await _row(things, f"page/{backend}-{name}", order, scale) for name, order in ORDERS.items()]


async def _row(things: Things, name: str, order: str | None, scale: float) -> Result:
    cursor: str | None = None
    for _ in range(PAGE - 1):
        cursor = (await things.model.page(order_by=order, page_size=SIZE, cursor=cursor, total=False)).next_cursor

    async def took_us(cursor: str | None) -> float:
        began, calls = perf_counter(), int(CALLS * scale)
        for _ in range(calls):
            page = await things.model.page(order_by=order, page_size=SIZE, cursor=cursor, total=False)
            if len(page.items) != SIZE:
                raise RuntimeError(f"a page of {len(page.items)} rows, not {SIZE}")
        return (perf_counter() - began) / calls * 1_000_000

    return await compare(name, lambda: took_us(cursor), lambda: took_us(None), unit="us")
