"""
Read a page of the log: from what lies next where that is most of what is wanted, by an index where it is rare.

What lies next comes column by column, each as one value, and is cut up here: a driver makes one
of every field of every row, which costs as much as all else that is done for an event.
"""

from collections.abc import Awaitable, Callable, Collection, Sequence
from struct import Struct
from typing import Any, TypeAlias

import msgspec

from diptych.store.port import StoredEvent
from diptych.store.statements import statements

MOST_BYTES = 32 * 1024 * 1024  # of texts that a server is to put together in its memory
REACH = 4  # times as many positions as events are looked through before an index is worth its steps
LAST = 2**63 - 1
_DELIMITER = "\N{INFORMATION SEPARATOR ONE}"
_SQL = statements("postgres")

Fetch: TypeAlias = Callable[..., Awaitable[list[Any]]]
"""What sends a statement with its arguments."""


class PageFound(msgspec.Struct, frozen=True):
    """Events, and in the same snapshot the log's end, None for an empty log, and whether all of it was durable."""

    events: Sequence[StoredEvent]
    head: int | None
    head_id: str | None
    durable: bool


class _Asked(msgspec.Struct, frozen=True):
    """Names are None where any will do."""

    after: int
    limit: int
    types: Sequence[str] | None
    categories: Sequence[str] | None


async def events_after(
    fetch: Fetch, after: int, limit: int, categories: Collection[str], types: Collection[str]
) -> PageFound:
    """The first events of some categories and types, of all where none is named, after a position."""
    asked = _Asked(after, limit, sorted(set(types)) or None, sorted(set(categories)) or None)
    upto = min(after + REACH * limit, LAST)
    near = await _near(fetch, asked, upto)
    if near is not None and (len(near.events) == limit or (near.head or 0) <= upto):
        return near
    return await _far(fetch, asked)


async def _near(fetch: Fetch, asked: _Asked, upto: int) -> PageFound | None:
    """What there is up to a position; None where the delimiter is in it, or it is too much at once."""
    (row,) = await fetch(
        _SQL["read_near"], asked.after, upto, asked.limit, asked.types, asked.categories, _DELIMITER, MOST_BYTES
    )
    head, head_id, durable, size, count, *columns = row
    if size > MOST_BYTES:
        return None
    events = _cut(count, columns)
    return None if events is None else PageFound(events, head, head_id, durable)


def _cut(count: int, columns: Sequence[Any]) -> Sequence[StoredEvent] | None:
    if not count:
        return ()
    position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at = columns
    cut = [column.split(_DELIMITER) for column in (stream, category, type, id)]
    cut += [column.split(_DELIMITER.encode()) for column in (payload, metadata)]
    if any(len(each) != count for each in cut):
        return None
    streams, categories, types, ids, payloads, metadata = cut
    numbers, small_numbers = Struct(f">{count}q").unpack, Struct(f">{count}i").unpack
    return tuple(
        map(
            StoredEvent,
            numbers(position),
            streams,
            categories,
            numbers(version),
            types,
            small_numbers(schema_version),
            ids,
            payloads,
            metadata,
            numbers(recorded_at),
        )
    )


async def _far(fetch: Fetch, asked: _Asked) -> PageFound:
    """As many as are asked for, wherever they lie."""
    if asked.types:
        rows = await fetch(_SQL["read_types"], asked.after, asked.limit, asked.types, asked.categories)
    elif asked.categories:
        rows = await fetch(_SQL["read_categories"], asked.after, asked.limit, asked.categories)
    else:
        rows = await fetch(_SQL["read_all"], asked.after, asked.limit)
    events = tuple(map(event_of, rows)) if rows[0]["position"] is not None else ()
    return PageFound(events, rows[0]["head"], rows[0]["head_id"], rows[0]["durable"])


def event_of(row: Any) -> StoredEvent:
    """The event in the first columns of a row."""
    position, stream, category, version, type, schema_version, id, payload, metadata, recorded_at = row[:10]
    return StoredEvent(
        position, stream, category, version, type, schema_version, id, payload.encode(), metadata.encode(), recorded_at
    )
