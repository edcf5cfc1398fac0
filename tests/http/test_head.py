"""HEAD is answered as GET is, without the body."""

import httpx
import pytest
from fastapi import FastAPI
from tests.serving import serving

from diptych.fastapi import Events, Routes, api, router

from .conftest import AllNotes, NoteById, Write, app

ROUTES: Routes = {
    "POST /notes": Write,
    "GET /notes": AllNotes,
    "GET /notes/events": Events("Note"),
    "GET /notes/{note_id}": NoteById,
}
PATHS = ["/notes", "/notes?page_size=1", "/notes?page_size=0", "/notes/none", "/livez", "/readyz"]


@pytest.fixture(params=["alone", "included"])
def http(request: pytest.FixtureRequest) -> FastAPI:
    if request.param == "alone":
        return api(app, ROUTES, log="memory://", read="sqlite:///:memory:")
    own = FastAPI()
    own.include_router(router(app, ROUTES, log="memory://", read="sqlite:///:memory:"))
    return own


async def test_the_head_is_the_one_of_the_answer(http: FastAPI) -> None:
    async with serving(http) as url, httpx.AsyncClient(base_url=url) as client:
        await http.state.diptych.caught_up()
        written = await client.post("/notes", json={"text": "hello"})
        note = f"/notes/{written.json()['note_id']}"
        seen = {"Diptych-Position": written.headers["Diptych-Position"]}
        for path in (note, *PATHS):
            answer, head = await client.get(path, headers=seen), await client.head(path, headers=seen)

            assert head.status_code == answer.status_code
            assert dict(head.headers) | {"date": ""} == dict(answer.headers) | {"date": ""}
            assert head.content == b""

        tag = (await client.get(note, headers=seen)).headers["ETag"]
        assert (await client.head(note, headers=seen | {"If-None-Match": tag})).status_code == 304


async def test_what_is_never_at_its_end_and_what_changes_something_have_none(http: FastAPI) -> None:
    async with serving(http) as url, httpx.AsyncClient(base_url=url) as client:
        stream, kept = await client.head("/notes/events"), await client.get("/notes")

        assert (stream.status_code, stream.headers["Allow"]) == (405, "GET")
        assert kept.json()["total"] == 0


async def test_a_path_without_an_answer_to_get_has_no_head() -> None:
    commands = api(app, {"POST /notes": Write}, log="memory://", read="sqlite:///:memory:")
    async with serving(commands) as url, httpx.AsyncClient(base_url=url) as client:
        refused = await client.head("/notes")

    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")
