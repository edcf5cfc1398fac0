"""
Let one at a time do what several must not do at once to a projection, until its transaction ends.

Where one writing transaction at a time is open anyhow, as on SQLite, this costs nothing and waits for nobody.
"""

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.read import sql
from diptych.read.books.checkpoint import SILENCE_S


async def take(connection: AsyncConnection, projection: str) -> None:
    """Wait for whoever else makes, drops or switches tables of a projection."""
    await sql.rows(connection, "turn", {"turn": projection})


async def take_if_free(connection: AsyncConnection, projection: str) -> bool:
    """The same turn, where nobody has it; whether that is so."""
    found = await sql.rows(connection, "turn_if_free", {"turn": projection, "silence": f"{SILENCE_S}s"})
    return bool(found.one()["taken"])


async def lock_alone(connection: AsyncConnection, projection: str) -> None:
    """Wait for whoever else locks several rows of a projection's bookkeeping, each in an order of its own."""
    await sql.rows(connection, "turn", {"turn": f"rows of {projection}"})
