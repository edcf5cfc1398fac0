"""An index that PostgreSQL doesn't make to its end."""

import asyncio
from collections.abc import Callable

import pytest
from sqlalchemy import Column, Index, MetaData, Table, Text, text

from diptych.errors import Unavailable
from diptych.read.db.database import ReadDatabase, open_read_db
from diptych.read.projections.tables import make_index
from diptych.testing.conformance.case import until

MANY = Table("many", MetaData(), Column("name", Text))
END = """
    SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
    WHERE query LIKE 'CREATE INDEX%' AND wait_event = 'relation'
"""


async def test_an_index_whose_making_is_ended_is_one_of_a_database_that_is_away(postgres: Callable[[int], str]) -> None:
    async with open_read_db(postgres(18)) as read_db:
        async with read_db.begin() as connection:
            await connection.run_sync(MANY.metadata.create_all)
        async with read_db.begin() as holding:
            await holding.execute(text("LOCK TABLE many IN SHARE UPDATE EXCLUSIVE MODE"))
            ending = asyncio.create_task(until(lambda: is_ended(read_db)))

            with pytest.raises(Unavailable):
                async with read_db.begin() as connection:
                    await make_index(connection, Index("many_name", MANY.c.name))

            await ending


async def is_ended(read_db: ReadDatabase) -> bool:
    async with read_db.snapshot() as connection:
        return bool((await connection.execute(text(END))).scalar_one())
