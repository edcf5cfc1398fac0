"""The guides' own wiring: an application of one's own, its state, and buses through Depends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI
from tests.http.conftest import NoteById, Noted, NoteRow, Write, app

from diptych import BadMessage, Command, CommandBus, Diptych, NoHandler, QueryBus
from diptych.fastapi import Endpoint, api, attach, get_command_bus, get_query_bus, problems


@asynccontextmanager
async def lifespan(http: FastAPI) -> AsyncIterator[None]:
    async with app.open(log="memory://", read="sqlite:///:memory:") as running:
        attach(http, running)
        yield


own = FastAPI(lifespan=lifespan)
problems(own)


@own.post("/write")
async def write(text: str, bus: Annotated[CommandBus, Depends(get_command_bus)]) -> str:
    return (await bus.dispatch(Write(text=text))).note_id


@own.get("/read")
async def read(note_id: str, bus: Annotated[QueryBus, Depends(get_query_bus)]) -> NoteRow | None:
    await own.state.diptych.caught_up()
    return await bus.dispatch(NoteById(note_id=note_id))


@own.get("/broken")
async def broken() -> None:
    raise RuntimeError("a secret")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with own.router.lifespan_context(own):
        transport = httpx.ASGITransport(own, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            yield client


async def test_routes_of_ones_own_reach_the_buses(client: httpx.AsyncClient) -> None:
    note_id = (await client.post("/write", params={"text": "hello"})).json()

    assert (await client.get("/read", params={"note_id": note_id})).json()["text"] == "hello"
    assert own.state.command_bus is own.state.diptych.commands


async def test_routes_of_ones_own_answer_errors_as_problems(client: httpx.AsyncClient) -> None:
    refused = await client.post("/write", params={"text": "damn"})

    assert (refused.status_code, refused.json()["rule"]) == (409, "Rude")


async def test_what_nobody_foresaw_tells_nothing_of_the_inside(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    failed = await client.get("/broken")

    assert (failed.status_code, failed.headers["Content-Type"]) == (500, "application/problem+json")
    assert "secret" not in failed.text
    assert "a secret" in caplog.text


@pytest.mark.parametrize(
    ("routes", "complaint"),
    [
        ({"GET /notes/{id}": NoteById}, "NoteById has no field id; it has note_id"),
        ({"post /notes": Write}, "write a method, a space and a path"),
        ({"PUSH /notes": Write}, "write a method, a space and a path"),
        ({"POST notes": Write}, "write a method, a space and a path"),
        ({"/notes": Write}, "write a method, a space and a path"),
        ({"GET /notes": Write}, "GET changes nothing and Write is a command: use POST"),
        ({"POST /notes": Noted}, "name a subclass of Command or Query"),
        ({"POST /notes": Write(text="x")}, "name a subclass of Command or Query"),
        ({"POST /notes": lambda: 1}, "name a subclass of Command or Query"),
        ({"POST /notes": Endpoint(Write, location="/notes/{id}")}, "names id, which is neither.*there is note_id"),
    ],
)
def test_a_route_that_can_not_work_is_refused_when_it_is_declared(routes: Any, complaint: str) -> None:
    with pytest.raises(BadMessage, match=complaint):
        api(app, routes)


def test_a_route_to_a_message_that_nobody_handles_is_refused_when_it_is_declared() -> None:
    class Nope(Command):
        pass

    with pytest.raises(NoHandler, match="no handler for Nope: decorate"):
        api(app, {"POST /nope": Nope})


async def test_a_result_without_fields_fills_the_location_too() -> None:
    class Sign(Command[str]):
        name: str

    commands = CommandBus()

    @commands.handler
    async def sign(command: Sign) -> str:
        return command.name

    signing = api(
        Diptych(commands),
        {"POST /signs": Endpoint(Sign, status=201, location="/signs/{result}")},
        log="memory://",
        read="sqlite:///:memory:",
    )
    client = httpx.AsyncClient(transport=httpx.ASGITransport(signing), base_url="http://test")
    async with signing.router.lifespan_context(signing), client:
        signed = await client.post("/signs", json={"name": "a b"})

    assert (signed.json(), signed.headers["Location"]) == (
        "a b",
        f"/signs/a%20b?diptych-position={signed.headers['Diptych-Position']}",
    )


async def test_a_request_without_an_open_application_says_so_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    closed = api(app, {"GET /notes/{note_id}": NoteById})
    transport = httpx.ASGITransport(closed, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/notes/1")

    assert answer.status_code == 500
    assert "no application is open behind this route: run the lifespan" in caplog.text
