"""One line puts an application beside routes of one's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import Depends, FastAPI, HTTPException
from tests.http.conftest import NoteById, NoteRow, Touch, Write, app
from tests.serving import serving

from diptych.fastapi import Commands, Endpoint, Options, Queries, Routes, router

ROUTES: Routes = {
    "POST /notes": Endpoint(Write, status=201, location="/notes/{note_id}"),
    "GET /notes/{note_id}": NoteById,
    "DELETE /notes/{note_id}": Touch,
}
DATABASES: Options = {"log": "memory://", "read": "sqlite:///:memory:"}


@asynccontextmanager
async def lifespan(http: FastAPI) -> AsyncIterator[None]:
    http.state.lived = ["begun"]
    yield
    http.state.lived.append("ended")


def refuse(secret: str = "") -> None:
    if secret != "s":
        raise HTTPException(401, "who are you?")


@pytest.fixture
def own() -> FastAPI:
    http = FastAPI(lifespan=lifespan)

    @http.get("/mine")
    async def mine() -> str:
        return "mine"

    @http.post("/write")
    async def write(text: str, commands: Commands) -> str:
        return (await commands.dispatch(Write(text=text))).note_id

    @http.get("/read")
    async def read(note_id: str, queries: Queries) -> NoteRow | None:
        return await queries.dispatch(NoteById(note_id=note_id))

    return http


async def test_it_lives_as_long_as_the_application_that_it_is_put_into(own: FastAPI) -> None:
    own.include_router(router(app, ROUTES, **DATABASES))

    async with serving(own) as url, httpx.AsyncClient(base_url=url) as client:
        assert (await client.get("/mine")).json() == "mine"
        await own.state.diptych.caught_up()
        assert (await client.get("/readyz")).status_code == 200
        written = await client.post("/notes", json={"text": "hello"})
        assert (await client.get(written.headers["Location"])).status_code == 200
        running = own.state.diptych
        assert not running.stopping

    assert running.stopping
    assert own.state.lived == ["begun", "ended"]


async def test_routes_of_ones_own_have_the_buses_by_their_type(own: FastAPI) -> None:
    own.include_router(router(app, ROUTES, **DATABASES))

    async with serving(own) as url, httpx.AsyncClient(base_url=url) as client:
        note_id = (await client.post("/write", params={"text": "hello"})).json()
        await own.state.diptych.caught_up()
        assert (await client.get("/read", params={"note_id": note_id})).json()["text"] == "hello"


async def test_its_errors_are_problems_whatever_it_is_put_into(own: FastAPI) -> None:
    own.include_router(router(app, ROUTES, **DATABASES))

    async with serving(own) as url, httpx.AsyncClient(base_url=url) as client:
        for answer, status in (
            (await client.post("/notes", json={"text": "damn"}), 409),
            (await client.post("/notes", json={}), 422),
            (await client.post("/notes", content="{", headers={"Content-Type": "application/json"}), 400),
            (await client.get("/notes/none"), 404),
        ):
            assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json")


async def test_below_a_prefix_locations_lead_there(own: FastAPI) -> None:
    own.include_router(router(app, ROUTES, **DATABASES), prefix="/v1/a%20b")

    async with serving(own) as url, httpx.AsyncClient(base_url=url) as client:
        written = await client.post("/v1/a%2520b/notes", json={"text": "hello"})
        assert written.headers["Location"].startswith("/v1/a%2520b/notes/")
        assert (await client.get(written.headers["Location"])).status_code == 200
        taken = await client.post("/v1/a%2520b/notes", json={"text": "x"}, headers={"Prefer": "respond-async"})
        assert (await client.get(taken.headers["Location"])).status_code == 200


async def test_below_a_mount_locations_lead_there_too(own: FastAPI) -> None:
    inner = FastAPI()
    inner.include_router(router(app, ROUTES, **DATABASES))

    @asynccontextmanager
    async def both(http: FastAPI) -> AsyncIterator[None]:
        async with inner.router.lifespan_context(inner):
            yield

    outer = FastAPI(lifespan=both)
    outer.mount("/inner", inner)

    async with serving(outer) as url, httpx.AsyncClient(base_url=url) as client:
        written = await client.post("/inner/notes", json={"text": "hello"})
        assert written.headers["Location"].startswith("/inner/notes/")
        assert (await client.get(written.headers["Location"])).status_code == 200


async def test_dependencies_of_the_including_application_guard_every_route(own: FastAPI) -> None:
    own.include_router(router(app, ROUTES, **DATABASES), dependencies=[Depends(refuse)])

    async with serving(own) as url, httpx.AsyncClient(base_url=url) as client:
        for answer in (
            await client.post("/notes", json={"text": "hello"}),
            await client.get("/notes/1"),
            await client.get("/commands/1"),
        ):
            assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")


async def test_a_method_that_a_path_does_not_have_is_told_those_that_it_has(own: FastAPI) -> None:
    own.include_router(router(app, ROUTES, **DATABASES))

    async with serving(own) as url, httpx.AsyncClient(base_url=url) as client:
        refused = await client.put("/notes/1", json={})

    assert (refused.status_code, refused.headers["Allow"]) == (405, "DELETE, GET, HEAD")


async def test_what_can_be_done_with_what_was_made_is_described(own: FastAPI) -> None:
    own.include_router(router(app, ROUTES, **DATABASES))

    made = own.openapi()["paths"]["/notes"]["post"]
    assert made["operationId"] == "Write"
    assert made["responses"]["201"]["links"] == {
        "NoteById": {"operationId": "NoteById", "parameters": {"note_id": "$response.body#/note_id"}},
        "Touch": {"operationId": "Touch", "parameters": {"note_id": "$response.body#/note_id"}},
    }


async def test_a_time_without_a_zone_is_refused_before_anything_is_decided(own: FastAPI) -> None:
    own.include_router(router(app, ROUTES, **DATABASES))

    async with serving(own) as url, httpx.AsyncClient(base_url=url) as client:
        refused = await client.post("/notes", json={"text": "damn", "at": "2026-01-01T00:00:00"})

    assert (refused.status_code, refused.json()["path"]) == (422, "$['at']")
