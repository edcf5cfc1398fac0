"""
Say whether a checkpoint is a place in the log: the log that it was built from, on the branch that is still there.
"""

from diptych.log import EventStore
from diptych.read.books.checkpoint import Checkpoint

REPAIR = (
    "put the log back that it was built from; or, if this one is meant, say so with log_restored "
    "(log_adopt for a copy) and rebuild the projection"
)


async def why_no_place(event_store: EventStore, found: Checkpoint) -> str | None:
    """Why a checkpoint is no place in this log: of another, ahead, or on a dead branch; None if it is one."""
    if found.log != event_store.identity:
        return f"it was built from log {found.log.log_id} incarnation {found.log.incarnation}"
    if not await holds(event_store, found):
        return f"the log has no event {found.event_id} at position {found.position}"
    return None


async def holds(event_store: EventStore, found: Checkpoint) -> bool:
    """Whether the log, whatever it is called, has the event that a checkpoint stands on."""
    if found.position == 0 or not found.event_id:
        return True
    there = await event_store.store.event_at(found.position)
    return there is not None and there.id == found.event_id
