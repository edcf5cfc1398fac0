"""A small application over HTTP, in process: notes that are written, and refused when they are rude."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated

import httpx
import pytest
from annotated_types import Ge, Le
from fastapi import FastAPI
from tests.serving import serving

from diptych import (
    Aggregate,
    Command,
    CommandBus,
    Diptych,
    Event,
    EventStore,
    Indexed,
    Key,
    PaginatedResult,
    Query,
    QueryBus,
    ReadModel,
    RecordedEvent,
    Refused,
    Repository,
    Searched,
    TableProjection,
)
from diptych.fastapi import Endpoint, Events, Live, api


class Rude(Refused):
    """A note must be polite."""


class Noted(Event):
    note_id: str
    text: str
    price: Decimal
    at: datetime | None


class Note(Aggregate[Noted]):
    def write(self, text: str, price: Decimal, at: datetime | None) -> None:
        if "damn" in text:
            raise Rude(f"{text!r} is rude: say it politely")
        self.record(Noted(note_id=self.id, text=text, price=price, at=at))


@dataclass(frozen=True)
class Written:
    note_id: str


@dataclass(frozen=True)
class Tag:
    name: str
    weight: int = 1


class Write(Command[Written]):
    """Write a note."""

    text: str
    price: Decimal = Decimal("0.00")
    at: datetime | None = None
    tags: list[Tag] = field(default_factory=list)


class Touch(Command[Written]):
    note_id: str
    hard: bool = False


@dataclass(frozen=True)
class NoteRow:
    note_id: Key[str]
    text: Indexed[Searched[str]]
    price: Decimal
    version: int


class Notes(TableProjection[NoteRow, Noted]):
    def evolve(self, row: NoteRow | None, event: RecordedEvent[Noted]) -> NoteRow | None:
        return NoteRow(event.data.note_id, event.data.text, event.data.price, event.version)


class NoteById(Query[NoteRow | None]):
    note_id: str


class AllNotes(Query[PaginatedResult[NoteRow]]):
    q: str | None = None
    text: str | None = None
    cursor: str | None = None
    page: Annotated[int, Ge(1)] = 1
    page_size: Annotated[int, Ge(1), Le(50)] = 20
    from_: int | None = None


commands, queries = CommandBus(), QueryBus()


@commands.handler
async def write(command: Write, notes: Repository[Note]) -> Written:
    note = Note()
    note.write(command.text, command.price, command.at)
    await notes.save(note)
    return Written(note.id)


@commands.handler
async def touch(command: Touch, notes: Repository[Note]) -> Written:
    note = await notes.load(command.note_id)
    note.write("touched hard" if command.hard else "touched", Decimal(0), None)
    await notes.save(note)
    return Written(note.id)


@queries.handler
async def note_by_id(query: NoteById, notes: ReadModel[NoteRow]) -> NoteRow | None:
    return await notes.get(query.note_id)


@queries.handler
async def all_notes(query: AllNotes, notes: ReadModel[NoteRow]) -> PaginatedResult[NoteRow]:
    return await notes.page(
        where={"text": query.text}, search=query.q, page=query.page, page_size=query.page_size, cursor=query.cursor
    )


app = Diptych(commands, queries, projections=[Notes])


@pytest.fixture
async def http() -> FastAPI:
    return api(
        app,
        {
            "GET /notes/{note_id}": NoteById,
            "GET /notes/all": AllNotes,
            "POST /notes": Endpoint(Write, status=201, location="/notes/{note_id}"),
            "GET /notes/events": Events("Note"),
            "GET /notes/live": Live(AllNotes, every_s=0.01),
            "POST /notes/{note_id}/touch": Touch,
            "DELETE /notes/{note_id}": Endpoint(Touch, insist=True),
        },
        log="memory://",
        read="sqlite:///:memory:",
        principal=lambda request: request.headers.get("X-User"),
        wait_s=30,
        cookie=True,
    )


@pytest.fixture
async def client(http: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(http) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        await http.state.diptych.caught_up()
        yield client


@pytest.fixture
def event_store(http: FastAPI, client: httpx.AsyncClient) -> EventStore:
    store: EventStore = http.state.diptych.event_store
    return store
