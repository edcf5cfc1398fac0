"""
Tell how each projection is doing: its state, how far it is, and what is wrong with it.

What is told stands in the read database, so any process can tell it, also one that
owns nothing. With the log at hand the lag is that of this moment; without it, as
the owner saw the log last.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from diptych.codec import EPOCH
from diptych.errors import Unavailable
from diptych.log import EventStore
from diptych.read.books import checkpoint, parked
from diptych.read.books.checkpoint import LEASE_US, Checkpoint, Generation, Share, is_gone
from diptych.read.books.parked import Parked
from diptych.read.books.wait import FINAL
from diptych.read.db.database import ReadDatabase
from diptych.read.follow.generations import shadow_of
from diptych.read.projections.projection import AnyProjection, type_names

SECOND_US = 1_000_000
CATCHING_UP_S = 1.0


@dataclass(frozen=True, slots=True)
class ParkedKey:
    """
    Events that are set aside under one key.

    Attributes:
        position: Of the first of them, an event of `type` that failed with `error` after so many `tries`;
            None where it waits for another key's.
        events: How many there are.
    """

    key: str
    position: int
    type: str
    events: int
    error: str | None
    tries: int
    since: datetime


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """
    How a projection is doing.

    Attributes:
        state: "running", "catching up", "late" (above its `max_lag_s`), "rebuilding", "paused", "faulted",
            "needs newer code", "rewound", "no owner" (for longer than a lease), "replaced" or "not built".
        checkpoint: The last position applied.
        head: The log's head when the status was taken; without the log, or while that is away, as its owner saw it.
        owner: The worker that keeps it in step.
        error: Why it stopped, at an event of `error_type` at `error_position`, and since when.
        lag_events: Positions from the checkpoint to the head: no fewer than the events to go.
        lag_s: How long ago the oldest event was recorded that is to be applied yet; 0 at the head.
        rate: Positions passed a second while it worked last.
        seconds_left: Until it is at the head, at that rate; None where there is nothing to tell.
        parked: What is set aside, by key.
    """

    name: str
    version: int
    generation: int
    served: bool
    state: str
    checkpoint: int
    head: int
    owner: str | None = None
    error: str | None = None
    error_position: int | None = None
    since: datetime | None = None
    partition: int = 0
    error_type: str | None = None
    lag_events: int = 0
    lag_s: float = 0.0
    rate: float = 0.0
    seconds_left: float | None = None
    max_lag_s: float | None = None
    parked: tuple[ParkedKey, ...] = ()

    @property
    def note(self) -> str | None:
        """What somebody should know of it, in a line; None where all is well."""
        if self.error is not None:
            return f"{self.name} is {self.state}: {self.error}"
        if self.state == "late":
            return f"{self.name} is late: {self.lag_s:.1f} s behind, {self.max_lag_s:g} s are allowed"
        if self.state == "paused":
            return f"{self.name} is paused"
        if self.state == "no owner":
            return f"{self.name} has no owner"
        keys = "key" if len(self.parked) == 1 else "keys"
        return f"{self.name} has parked {len(self.parked)} {keys}" if self.parked else None


@dataclass(frozen=True, slots=True)
class _Found:
    """What was found in the read database at one moment."""

    now: int
    rows: Sequence[Checkpoint]
    parked: Sequence[Parked]


async def statuses(
    read_db: ReadDatabase, projections: Mapping[str, AnyProjection], event_store: EventStore | None = None
) -> list[ProjectionStatus]:
    """
    How these projections are doing, each generation and partition of their versions, those being rebuilt included.

    Args:
        event_store: The log; None tells the lag as it was seen last, and so is it told while the log is away.
    """
    head = await head_of(event_store)
    async with read_db.snapshot() as connection:
        rows = await checkpoint.all_of(connection)
        is_parked = any(row.parked_at is not None for row in rows)
        found = _Found(await checkpoint.now(connection), rows, await parked.all_of(connection) if is_parked else [])
    told = []
    for row in rows:
        mine = projections.get(row.of.projection)
        if mine is not None and mine.version == row.of.version and row.of != shadow_of(mine.name, mine.version):
            lag_s = await _lag_s(row, mine, found.now, head, event_store)
            told.append(_status(row, mine, found, max(row.position, row.head if head is None else head), lag_s))
    return told


async def head_of(event_store: EventStore | None) -> int | None:
    """The head of a log; None where there is none, or none can be asked now."""
    try:
        return None if event_store is None else await event_store.head()
    except Unavailable:
        return None


def unprepared(projection: AnyProjection, error: str) -> ProjectionStatus:
    """The status of a projection that could not even begin."""
    return ProjectionStatus(
        projection.name, projection.version, 1, served=False, state="faulted", checkpoint=0, head=0, error=error
    )


def not_built(projection: AnyProjection, head: int) -> ProjectionStatus:
    """The status of a projection that nothing is there of yet."""
    return ProjectionStatus(
        projection.name,
        projection.version,
        0,
        served=False,
        state="not built",
        checkpoint=0,
        head=head,
        lag_events=head,
        max_lag_s=projection.max_lag_s,
    )


async def _lag_s(
    row: Checkpoint, projection: AnyProjection, now: int, head: int | None, event_store: EventStore | None
) -> float:
    """How long the oldest event waits already that is to be applied."""
    since = row.behind_since
    if event_store is not None and head is not None:
        with suppress(Unavailable):
            since = await _recorded_at(event_store, row.position, projection) if head > row.position else None
    return 0.0 if since is None else max(0.0, (now - since) / SECOND_US)


async def _recorded_at(event_store: EventStore, position: int, projection: AnyProjection) -> int | None:
    """When the first event beyond a position was recorded that a projection handles."""
    page = await event_store.page(position, limit=1, types=type_names(projection))
    return page.events[0].recorded_at if page.events else None


def _status(row: Checkpoint, projection: AnyProjection, found: _Found, head: int, lag_s: float) -> ProjectionStatus:
    to_go = head - row.position
    state = _state(row, found, lag_s, projection.max_lag_s)
    moves = state in {"catching up", "late", "rebuilding", "running"}
    return ProjectionStatus(
        name=row.of.projection,
        version=row.of.version,
        generation=row.of.generation,
        served=row.served,
        state=state,
        checkpoint=row.position,
        head=head,
        owner=row.owner,
        error=row.error,
        error_position=row.error_position,
        since=None if row.since is None else _time(row.since),
        partition=row.partition,
        error_type=row.error_type,
        lag_events=to_go,
        lag_s=lag_s,
        rate=row.rate,
        seconds_left=to_go / row.rate if to_go and row.rate and moves else None,
        max_lag_s=projection.max_lag_s,
        parked=tuple(_parked_keys(row.share, found.parked)),
    )


def _state(row: Checkpoint, found: _Found, lag_s: float, max_lag_s: float | None) -> str:
    served = next((each.of for each in found.rows if each.served and each.of.code == row.of.code), None)
    if stands := _why_it_stands(row, served, found.now):
        return stands
    if served is not None and row.of.follows(served):
        return "rebuilding"
    if max_lag_s is not None and lag_s > max_lag_s:
        return "late"
    return "catching up" if served is None or lag_s > CATCHING_UP_S else "running"


def _why_it_stands(row: Checkpoint, served: Generation | None, now: int) -> str | None:
    """The state of what nothing is applied to; None where it moves."""
    if row.error is not None and row.state in FINAL:
        return row.state
    if row.paused:
        return "paused"
    if served is not None and served.follows(row.of) and (row.kept_until or 0) <= now:
        return "replaced"
    return "no owner" if _has_no_owner(row, now) else None


def _has_no_owner(row: Checkpoint, now: int) -> bool:
    """Whether nobody has owned it for longer than a lease, or its owner is known to be dead for as long."""
    lasted = row.lease_until + (LEASE_US if row.owner is None or not is_gone(row.owner) else 0)
    return lasted < now


def _parked_keys(share: Share, rows: Iterable[Parked]) -> Iterable[ParkedKey]:
    by_key: dict[str, list[Parked]] = {}
    for row in rows:
        if row.share == share:
            by_key.setdefault(row.key, []).append(row)
    for key, queue in by_key.items():
        first = queue[0]
        yield ParkedKey(key, first.position, first.type, len(queue), first.error, first.tries, _time(first.since))


def _time(microseconds: int) -> datetime:
    return EPOCH + timedelta(microseconds=microseconds)
