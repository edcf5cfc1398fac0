"""
Mend the identity of a log that was put back to an earlier point, or copied.

A log knows who it is, and checkpoints and tokens say which log they are of. So a
log that was exchanged underneath is noticed, and refused by name (`LogRewound`).
These two say that the exchange is meant. Nobody else may have the log open meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncConnection

from diptych.log import EventStore, open_store
from diptych.message import new_id
from diptych.read.books import checkpoint, parked
from diptych.read.books.checkpoint import Checkpoint, Generation
from diptych.read.db.database import open_read_db
from diptych.read.follow.generations import put_at_the_head
from diptych.read.follow.place import holds
from diptych.store.port import LogIdentity


@dataclass(frozen=True, slots=True)
class Mended:
    """
    What a repair came to.

    Attributes:
        identity: Who the log is now.
        kept: Read models whose checkpoints are places in it: they go on. Reactions do in any case.
        to_rebuild: Read models that hold what the log doesn't: each is to be rebuilt.
    """

    identity: LogIdentity
    kept: tuple[Generation, ...]
    to_rebuild: tuple[Generation, ...]


async def log_restored(log: str, read: str | None = None) -> Mended:
    """
    Say that a log was put back to an earlier point, such as from a backup.

    Its incarnation grows: positions given before are refused, as what they named may be gone.

    Args:
        log: URL of the log; see `open_store`.
        read: URL of the read database that follows it, so that what fits is kept.
    """
    return await _mended(log, read, lambda old: LogIdentity(old.log_id, old.incarnation + 1))


async def log_adopt(log: str, read: str | None = None) -> Mended:
    """
    Make a copy of a log a log of its own, such as for staging.

    It gets a new log id: what belongs to the original is refused here, and the other way round.

    Args:
        log: URL of the copy; see `open_store`.
        read: URL of a read database that was copied with it, so that what fits is kept.
    """
    return await _mended(log, read, lambda _: LogIdentity(new_id(), 1))


async def _mended(log: str, read: str | None, renamed: Callable[[LogIdentity], LogIdentity]) -> Mended:
    async with open_store(log, ()) as event_store:
        old, new = event_store.identity, renamed(event_store.identity)
        await event_store.store.become(new)
        if read is None:
            return Mended(new, (), ())
        return await _taken_along(event_store, read, old)


async def _taken_along(event_store: EventStore, read: str, old: LogIdentity) -> Mended:
    """Give the log's new name to the checkpoints that are places in it."""
    kept, others = [], []
    async with open_read_db(read) as read_db, read_db.begin() as connection:
        for found in await checkpoint.all_of(connection):
            if found.log.log_id != old.log_id:
                others.append(found.of)
            elif await holds(event_store, found):
                await checkpoint.restamp(connection, found.of, event_store.identity)
                kept.append(found.of)
            elif (built := await checkpoint.plan(connection, found.of)) and built.keeps_nothing:
                await _go_on(connection, event_store, found)
                kept.append(found.of)
            else:
                others.append(found.of)
    return Mended(event_store.identity, tuple(kept), tuple(others))


async def _go_on(connection: AsyncConnection, event_store: EventStore, found: Checkpoint) -> None:
    """A reaction goes on behind what the log still has; what became of the rest can't be taken back."""
    head = await event_store.head()
    lost = [row.position for row in await parked.of_share(connection, found) if row.position > head]
    await parked.remove(connection, found, lost)
    await put_at_the_head(connection, event_store, found.of)
