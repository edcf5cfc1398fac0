"""The guides' own wiring: an application of one's own, its state, and buses through Depends."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI
from tests.http.conftest import NoteById, NoteRow, Write, app

from diptych import CommandBus, QueryBus
from diptych.fastapi import attach, get_command_bus, get_query_bus, problems


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


def test_a_path_that_names_no_field_is_refused_at_start_up(tmp_path: Path) -> None:
    from diptych import BadMessage
    from diptych.fastapi import api

    with pytest.raises(BadMessage, match="NoteById has no field id"):
        api(app, {"GET /notes/{id}": NoteById})
