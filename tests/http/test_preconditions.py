"""Versions over HTTP: what a client has seen, and what it insists on."""

import asyncio
from decimal import Decimal

import httpx
import pytest
from fastapi import FastAPI
from tests.http.conftest import Note

from diptych import Repository


async def written(client: httpx.AsyncClient) -> str:
    answer = await client.post("/notes", json={"text": "hello"})
    return f"/notes/{answer.json()['note_id']}"


async def touched(client: httpx.AsyncClient, note: str, **headers: str) -> httpx.Response:
    return await client.post(f"{note}/touch", headers={name.replace("_", "-"): text for name, text in headers.items()})


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"If_Match": '"1"'}, 200),
        ({"If_Match": '"7", "1"'}, 200),
        ({"If_Match": "*"}, 200),
        ({"If_None_Match": '"2"'}, 200),
        ({"If_None_Match": '"foreign,tag"'}, 200),
        ({"If_Match": '"2"'}, 412),
        ({"If_Match": 'W/"1"'}, 412),
        ({"If_Match": '"01"'}, 412),
        ({"If_Match": '"foreign"'}, 412),
        ({"If_None_Match": "*"}, 412),
        ({"If_None_Match": 'W/"1"'}, 412),
        ({"If_Match": '"1"', "If_None_Match": '"1"'}, 412),
        ({"If_Match": "1"}, 400),
        ({"If_Match": '"1" "2"'}, 400),
        ({"If_None_Match": '"'}, 400),
        ({"If_Match": ""}, 400),
        ({"If_None_Match": ""}, 400),
    ],
)
async def test_a_command_changes_only_the_version_that_its_sender_names(
    client: httpx.AsyncClient, headers: dict[str, str], status: int
) -> None:
    note = await written(client)

    answer = await touched(client, note, **headers)

    assert answer.status_code == status, answer.text
    assert (await touched(client, note)).headers["ETag"] == ('"3"' if status == 200 else '"2"')


async def test_a_version_that_is_gone_is_a_problem_that_says_what_there_is(client: httpx.AsyncClient) -> None:
    note = await written(client)

    problem = (await touched(client, note, If_Match='"5"')).json()

    assert (problem["status"], problem["actual"]) == (412, 1)
    assert 'expected If-Match: "5"' in problem["detail"]


async def test_of_many_who_have_seen_the_same_version_one_wins(client: httpx.AsyncClient) -> None:
    note = await written(client)

    answers = await asyncio.gather(*(touched(client, note, If_Match='"1"') for _ in range(20)))

    assert sorted(each.status_code for each in answers) == [200] + [412] * 19


async def test_a_conflict_of_somebody_who_named_no_version_over_http_is_one(
    client: httpx.AsyncClient, http: FastAPI
) -> None:
    note_id = (await written(client)).rpartition("/")[2]
    notes = Repository(http.state.diptych.event_store, Note)
    stale = await notes.load(note_id)
    await touched(client, f"/notes/{note_id}")

    @http.post("/conflict")
    async def conflict() -> None:
        stale.write("late", Decimal(0), None)
        await notes.save(stale)

    answer = await client.post("/conflict")
    assert (answer.status_code, answer.json()["type"].rpartition("wrong-version")[1]) == (409, "wrong-version")


async def test_an_endpoint_may_insist_on_a_version(client: httpx.AsyncClient) -> None:
    note = await written(client)

    refused = await client.delete(note)

    assert (refused.status_code, refused.headers["Content-Type"]) == (428, "application/problem+json")
    assert "If-Match" in refused.json()["detail"]
    assert (await client.delete(note, headers={"If-Match": '"1"'})).status_code == 200


async def test_a_row_has_the_version_of_its_stream_as_its_tag(client: httpx.AsyncClient) -> None:
    note = await written(client)
    await touched(client, note)

    shown = await client.get(note)
    assert (shown.headers["ETag"], shown.json()["version"]) == ('"2"', 2)
    known = await client.get(note, headers={"If-None-Match": shown.headers["ETag"]})
    assert (known.status_code, known.content, known.headers["ETag"]) == (304, b"", '"2"')
    assert known.headers["Diptych-Position"]
    assert (await client.get(note, headers={"If-None-Match": '"1"'})).status_code == 200
    assert (await client.get(note, headers={"If-Match": '"1"'})).status_code == 412
    assert (await client.get(note, headers={"If-Match": '"1"', "If-None-Match": '"2"'})).status_code == 412
    assert "ETag" not in (await client.get("/notes/all")).headers


@pytest.mark.parametrize("tags", ['"1",, "2"', ', "2"', '"2",', ',\t"2" , ,"7",'])
async def test_a_list_of_tags_may_have_empty_elements(client: httpx.AsyncClient, tags: str) -> None:
    note = await written(client)
    await touched(client, note)

    assert (await client.get(note, headers={"If-None-Match": tags})).status_code == 304
    assert (await client.get(note, headers={"If-Match": tags})).status_code == 200


@pytest.mark.parametrize("tags", ["nonsense", "", ",", '"1" "2"', '"1", *', '"1", x,'])
async def test_what_is_no_list_of_tags_is_malformed(client: httpx.AsyncClient, tags: str) -> None:
    note = await written(client)

    for header in ("If-Match", "If-None-Match"):
        refused = await client.get(note, headers={header: tags})
        assert (refused.status_code, refused.headers["Content-Type"]) == (400, "application/problem+json")


async def test_a_client_that_reads_and_then_changes_by_what_it_read_is_never_too_late_unseen(
    client: httpx.AsyncClient,
) -> None:
    note = await written(client)

    for _ in range(5):
        seen = await client.get(note)
        assert (await touched(client, note, If_Match=seen.headers["ETag"])).status_code == 200
