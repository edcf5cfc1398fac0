"""
Stand in for the log in a process that has only the read side.

Which log its read models follow, and how far that reached when their owners last looked,
is told by the bookkeeping. Everything else needs the log, and is refused (`ReadSideOnly`).
"""

from collections.abc import Iterable
from time import monotonic
from typing import Any, NoReturn, cast

from diptych.catalogue import Catalogue
from diptych.codec import Codec
from diptych.errors import ReadSideOnly
from diptych.event import Event
from diptych.log import EventStore
from diptych.read.books import checkpoint
from diptych.read.books.wait import REWOUND
from diptych.read.db.database import ReadDatabase
from diptych.store.port import LogIdentity, Store

NONE = "none"
LOOK_EVERY_S = 1.0


class AbsentLog:
    """A store that holds nothing and takes nothing: whatever isn't here is refused."""

    connections: int = 0

    def __init__(self, read_db: ReadDatabase) -> None:
        self._read_db = read_db
        self._followed = frozenset[LogIdentity]()
        self._looked_at = float("-inf")

    def __getattr__(self, name: str) -> NoReturn:
        raise ReadSideOnly(f"{name}()")

    async def head(self) -> int:
        """Where the log ended when those who follow it last looked."""
        async with self._read_db.snapshot() as connection:
            every = await checkpoint.all_of(connection)
        self._looked_at = monotonic()
        self._followed = frozenset(each.log for each in every if each.served and each.state != REWOUND)
        return max((max(each.head, each.position) for each in every), default=0)

    async def followed(self, *, among: LogIdentity | None = None) -> frozenset[LogIdentity]:
        """The logs that read models follow: looked up again after a second, or where one isn't *among* those known."""
        is_new = among is not None and among not in self._followed
        if is_new or monotonic() - self._looked_at > LOOK_EVERY_S:
            await self.head()
        return self._followed


async def followed(event_store: EventStore, token_of: LogIdentity | None = None) -> frozenset[LogIdentity]:
    """The logs whose positions mean something here; *token_of* is one that somebody takes for such."""
    absent: Any = event_store.store
    if isinstance(absent, AbsentLog):
        return await absent.followed(among=token_of)
    return frozenset((event_store.identity,))


def is_absent(event_store: EventStore) -> bool:
    """Whether there is no log behind an event store."""
    absent: Any = event_store.store
    return isinstance(absent, AbsentLog)


def without_log(read_db: ReadDatabase, events: Iterable[type[Event]]) -> EventStore:
    """An event store without a log, for the read models of a database."""
    return EventStore(cast("Store", AbsentLog(read_db)), Codec(Catalogue.of(events)))
