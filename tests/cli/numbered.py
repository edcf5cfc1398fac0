"""An application whose rows have whole numbers for keys."""

from dataclasses import dataclass

from diptych import Diptych, Event, Key, RecordedEvent, TableProjection


class Raised(Event):
    number: int


@dataclass(frozen=True)
class TicketRow:
    number: Key[int]
    times: int


class Tickets(TableProjection[TicketRow, Raised]):
    """How often each was raised."""

    def evolve(self, row: TicketRow | None, event: RecordedEvent[Raised]) -> TicketRow | None:
        return TicketRow(event.data.number, row.times + 1 if row else 1)


app = Diptych(projections=[Tickets])
