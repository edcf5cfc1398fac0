"""A shop with a projection that fails at a negative count, until a file says that its code was mended."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from diptych import Diptych, Event, Key, Park, RecordedEvent, Stop, TableProjection

MENDED = "SHOP_MENDED"
PARKS = "SHOP_PARKS"


class Counted(Event):
    product: str
    count: int


@dataclass(frozen=True)
class StockRow:
    product: Key[str]
    count: int


class Stock(TableProjection[StockRow, Counted]):
    """What there is of each product."""

    on_failure: ClassVar[Stop | Park] = Park() if PARKS in os.environ else Stop()

    def evolve(self, row: StockRow | None, event: RecordedEvent[Counted]) -> StockRow | None:
        if event.data.count < 0 and not Path(os.environ[MENDED]).exists():
            raise ValueError(f"{event.data.count} of {event.data.product}")
        return StockRow(event.data.product, event.data.count)


@dataclass(frozen=True)
class TallyRow:
    product: Key[str]
    times: int


class Tally(TableProjection[TallyRow, Counted]):
    """How often each product was counted."""

    def evolve(self, row: TallyRow | None, event: RecordedEvent[Counted]) -> TallyRow | None:
        return TallyRow(event.data.product, row.times + 1 if row else 1)


app = Diptych(projections=[Stock, Tally])
