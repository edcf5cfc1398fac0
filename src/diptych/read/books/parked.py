"""
Keep what is parked: events that were set aside, and those of their keys that queue behind them.

An event lies under each of its keys. Two keys that share an event are tried again
together: what one of them waits for, the other does, too.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.read import sql
from diptych.read.books.checkpoint import Checkpoint, Generation, Share


@dataclass(frozen=True, slots=True)
class Parked:
    """
    An event that is parked under a key.

    Attributes:
        error: What it failed of; None where it only queues.
        tries: How often it was tried.
        since: When it was parked, in microseconds since 1970.
        wanted: Whether somebody wants it tried again.
    """

    share: Share
    key: str
    position: int
    event_id: str
    type: str
    error: str | None
    tries: int = 0
    since: int = 0
    wanted: bool = False


async def add(connection: AsyncConnection, held: Checkpoint, events: Iterable[Parked]) -> None:
    """Set events aside, behind the fence."""
    for each in events:
        parameters = held.parameters(
            key=each.key,
            position=each.position,
            event_id=each.event_id,
            type=each.type,
            error=each.error,
            tries=each.tries,
        )
        await sql.change(connection, "parked_add", parameters)
    await _note(connection, held)


async def of_share(connection: AsyncConnection, held: Checkpoint) -> list[Parked]:
    """What is parked of one share, oldest first."""
    return [_parked(row) for row in await sql.rows(connection, "parked_of", held.parameters())]


async def all_of(connection: AsyncConnection) -> list[Parked]:
    """All that is parked, oldest first."""
    return [_parked(row) for row in await sql.rows(connection, "parked_all")]


async def wanted(connection: AsyncConnection) -> frozenset[Share]:
    """Of which shares somebody wants parked events tried again."""
    return frozenset(_share(row) for row in await sql.rows(connection, "parked_wanted"))


async def want(connection: AsyncConnection, held: Checkpoint, key: str) -> bool:
    """Have the events of a key tried again; False if none is parked under it."""
    return await sql.change(connection, "parked_want", held.parameters(key=key)) > 0


async def remove(connection: AsyncConnection, held: Checkpoint, positions: Iterable[int]) -> None:
    """Events are parked no more."""
    for position in positions:
        await sql.change(connection, "parked_remove", held.parameters(position=position))
    await _note(connection, held)


async def failed(connection: AsyncConnection, held: Checkpoint, positions: Sequence[int], error: str) -> None:
    """The first of some events failed again; those behind it stay in their queue."""
    await sql.change(connection, "parked_failed", held.parameters(position=positions[0], error=error))
    for position in positions:
        await sql.change(connection, "parked_unwant", held.parameters(position=position))


def queue_of(rows: Collection[Parked], keys: Collection[str]) -> list[int]:
    """The positions that are to be tried again together with those of *keys*, in order."""
    together, positions = set(keys), set[int]()
    while True:
        found = {row.position for row in rows if row.key in together}
        if found == positions:
            return sorted(positions)
        positions = found
        together |= {row.key for row in rows if row.position in positions}


async def _note(connection: AsyncConnection, held: Checkpoint) -> None:
    await sql.change(connection, "checkpoint_parked", held.parameters())


def _share(row: RowMapping) -> Share:
    return Share(Generation(row["projection"], row["version"], row["generation"]), row["partition"])


def _parked(row: RowMapping) -> Parked:
    return Parked(
        _share(row),
        row["key"],
        row["position"],
        row["event_id"],
        row["type"],
        row["error"],
        row["tries"],
        row["since"],
        bool(row["wanted"]),
    )
