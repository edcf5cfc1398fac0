"""Projections that fail at one event until they are mended, and events that old, new and newer code wrote."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec
from sqlalchemy import BigInteger, Column, MetaData, Table, Text, select

from diptych.catalogue import upcast
from diptych.codec import Codec
from diptych.event import Event, RecordedEvent
from diptych.log import EventStore
from diptych.message import new_id
from diptych.read.projections.columns import Key
from diptych.read.projections.failure import Park, Stop
from diptych.read.projections.projection import Projection, TableProjection, Transaction
from diptych.store.port import ANY, Append, NewEvent, StoredEvent, StreamAppend
from diptych.testing.conformance.accounts import Accounts, Paid

BROKEN = 13


class Weighed(Event, version=2):
    """Version 1 had no unit."""

    account: str
    weight: int
    unit: str


class Scales:
    """Whether what turns version 1 into version 2 works."""

    is_mended = False


@upcast(Weighed, from_version=1)
def _add_the_unit(payload: dict[str, Any]) -> dict[str, Any]:
    if not Scales.is_mended:
        raise RuntimeError("a bug in the upcaster")
    return payload | {"unit": "kg"}


class NewerCodec(Codec):
    """Knows version 3 of every event, which is as version 2."""

    def decode(self, stored: StoredEvent) -> RecordedEvent[Any]:
        return super().decode(msgspec.structs.replace(stored, schema_version=min(2, stored.schema_version)))


class Patient(Accounts):
    """Parks what fails, at once."""

    on_failure: ClassVar[Stop | Park] = Park(tries=1, limit=4)


@dataclass(frozen=True)
class Weight:
    """A row."""

    account: Key[str]
    total: int
    log: str = ""


class Weights(TableProjection[Weight, Weighed]):
    """Weighs, and notes in which order."""

    on_failure: ClassVar[Stop | Park] = Park(tries=1)

    def evolve(self, row: Weight | None, event: RecordedEvent[Weighed]) -> Weight | None:
        row = row or Weight(event.data.account, 0)
        return replace(row, total=row.total + event.data.weight, log=f"{row.log} {event.data.weight}{event.data.unit}")


class Moved(Event):
    """From one account to another."""

    source: str
    target: str
    amount: int


class Transfers(TableProjection[Weight, Moved]):
    """Each event touches two rows."""

    on_failure: ClassVar[Stop | Park] = Park(tries=1)
    broken: bool = True

    def keys(self, event: RecordedEvent[Moved]) -> Iterable[str]:
        return (event.data.source, event.data.target)

    def initial(self, key: str) -> Weight:
        return Weight(key, 0)

    def evolve(self, row: Weight | None, event: RecordedEvent[Moved]) -> Weight | None:
        assert row is not None
        if self.broken and event.data.amount == BROKEN:
            raise RuntimeError("a bug in evolve")
        sign = -1 if row.account == event.data.source else 1
        return replace(row, total=row.total + sign * event.data.amount, log=f"{row.log} {sign * event.data.amount}")


class Ledger(Projection[Paid]):
    """Free-form, in order per stream."""

    on_failure: ClassVar[Stop | Park] = Park(tries=1)
    broken: bool = True
    tables: ClassVar[Sequence[Table]] = (
        Table("ledger", MetaData(), Column("id", BigInteger, primary_key=True), Column("account", Text)),
    )

    async def apply(self, event: RecordedEvent[Paid], tx: Transaction) -> None:
        lines = (await tx.execute(select(tx.table("ledger")))).all()
        await tx.execute(tx.table("ledger").insert(), {"id": len(lines) + 1, "account": event.data.account})
        if self.broken and event.data.amount == BROKEN:
            raise RuntimeError("a bug in apply")


async def weighed(event_store: EventStore, stream: str, version: int, *, weight: int) -> int:
    """Append what code that knows a version of it would."""
    payload = {"account": "a", "weight": weight, **({"unit": "kg"} if version > 1 else {})}
    new = NewEvent(new_id(), "Weighed", version, msgspec.json.encode(payload), b"{}")
    append = Append(new.id, [StreamAppend(stream, "S", ANY, [new])])
    return (await event_store.store.append(append)).position
