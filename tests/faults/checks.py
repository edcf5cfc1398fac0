"""Hold the Orders application's files against what its clients were answered, and against a plain fold."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import apsw
from sqlalchemy import select

from diptych import RecordedEvent, open_store
from diptych.app import Running
from diptych.read.ask.view import Gate, ServedTable
from diptych.write.aggregate import event_types
from orders.app import app
from orders.order import Order
from orders.views import History, Orders, SalesByDay


async def check_files(folder: Path, streams: Mapping[str, Sequence[str]]) -> None:
    """Each stream holds exactly its events, the read models are a fold of them, and both files are sound."""
    log, read = folder / "log.db", folder / "read.db"
    async with app.open(f"sqlite:///{log}", f"sqlite:///{read}") as running:
        await running.caught_up(60)
        await check_read_models(running)
    found = await events_by_stream(log)
    assert {stream: found.get(stream, ()) for stream in streams} == {
        stream: tuple(types) for stream, types in streams.items()
    }
    for path in (log, read):
        check_sound(path)


async def check_read_models(running: Running) -> None:
    """The rows that are served equal a fold over the whole log, done here one event at a time."""
    events = await running.event_store.read_all(limit=10_000_000)
    assert (differing := _differing(await _rows(running, Orders), _orders(events))) == {}, differing
    assert _differing(await _rows(running, History), _history(events)) == {}
    assert _differing(await _rows(running, SalesByDay), _sales(events)) == {}
    head = await running.event_store.head()
    assert {status.checkpoint for status in await running.synchronizer.status() if status.served} == {head}


def _differing(served: dict[Any, Any], folded: dict[Any, Any]) -> dict[Any, tuple[Any, Any]]:
    """The rows that are not alike, by their keys: as served, and as folded."""
    every = served.keys() | folded.keys()
    return {key: (served.get(key), folded.get(key)) for key in every if served.get(key) != folded.get(key)}


async def events_by_stream(log: Path) -> dict[str, tuple[str, ...]]:
    """The event types of each stream, in order; positions, versions and ids are checked on the way."""
    async with open_store(f"sqlite:///{log}", event_types(Order)) as event_store:
        events = await event_store.read_all(limit=10_000_000)
    assert len({event.event_id for event in events}) == len(events)
    streams: dict[str, tuple[str, ...]] = {}
    for event in events:
        before = streams.get(event.stream_id, ())
        assert event.version == len(before) + 1
        streams[event.stream_id] = (*before, event.event_type)
    return streams


def check_sound(path: Path) -> None:
    """SQLite finds no fault in a file."""
    connection = apsw.Connection(str(path))
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    finally:
        connection.close()


async def _rows(running: Running, kind: Any) -> dict[Any, Any]:
    projection = kind()
    shape = projection.shape()
    table = ServedTable(projection, Gate(running.read_db, projection, running.synchronizer.watcher))
    async with table.snapshot() as at:
        rows = (await at.conn.execute(select(*[at.table.c[name] for name in shape.names]))).all()
    return {shape.key_of(row): row for row in map(shape.row, rows)}


def _orders(events: Sequence[RecordedEvent[Any]]) -> dict[str, Any]:
    orders = Orders()
    rows: dict[str, Any] = {}
    for event in events:
        _put(rows, event.data.order_id, orders.evolve(rows.get(event.data.order_id), event))
    return rows


def _history(events: Sequence[RecordedEvent[Any]]) -> dict[int, Any]:
    history = History()
    return {event.global_position: history.evolve(None, event) for event in events}


def _sales(events: Sequence[RecordedEvent[Any]]) -> dict[Any, Any]:
    sales = SalesByDay()
    memos: dict[str, Any] = {}
    rows: dict[Any, Any] = {}
    for event in events:
        if type(event.data) not in sales.handles():
            continue
        before = memos.get(event.data.order_id)
        after = sales.remember(before, event)
        _put(memos, event.data.order_id, after)
        memo = after or before
        if memo is not None:
            _put(rows, memo.day, sales.evolve(rows.get(memo.day), event, memo))
    return rows


def _put(rows: dict[Any, Any], key: Any, row: Any | None) -> None:
    if row is None:
        rows.pop(key, None)
    else:
        rows[key] = row
