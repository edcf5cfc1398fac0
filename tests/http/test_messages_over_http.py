import asyncio
import json
import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from tests.http.conftest import AllNotes

from diptych import EventStore
from diptych.edge.fastapi.exports import Export


async def write(client: httpx.AsyncClient, headers: dict[str, str] | None = None, **body: Any) -> httpx.Response:
    return await client.post("/notes", json={"text": "hello", **body}, headers=headers)


async def test_a_command_answers_with_what_was_made_where_and_when(client: httpx.AsyncClient) -> None:
    written = await write(client)
    note_id = written.json()["note_id"]

    assert written.status_code == 201
    token = written.headers["Diptych-Position"]
    assert written.headers["Location"] == f"/notes/{note_id}?diptych-position={token}"
    assert written.headers["ETag"] == '"1"'

    touched = await client.post(f"/notes/{note_id}/touch", json={"hard": True})
    assert touched.headers["ETag"] == '"2"'
    assert (await client.post(f"/notes/{note_id}/touch")).headers["ETag"] == '"3"'


async def test_a_query_with_a_position_sees_what_was_written(client: httpx.AsyncClient) -> None:
    for _ in range(5):
        written = await write(client, price="1.50")
        token = {"Diptych-Position": written.headers["Diptych-Position"]}
        answer = await client.get(written.headers["Location"], headers=token)

        assert answer.status_code == 200
        assert answer.json() == {"note_id": written.json()["note_id"], "text": "hello", "price": "1.50", "version": 1}
        assert answer.headers["Diptych-Position"]
        assert "Diptych-Stale" not in answer.headers


async def test_fixed_parts_of_a_path_go_before_parameters(client: httpx.AsyncClient) -> None:
    assert (await client.get("/notes/all")).json() == {
        "items": [],
        "total": 0,
        "page": 1,
        "page_size": 20,
        "total_pages": 0,
        "next_cursor": None,
    }
    assert (await client.get("/notes/none")).status_code == 404


async def test_a_repeated_key_gets_the_first_answer_and_changes_nothing(
    client: httpx.AsyncClient, event_store: EventStore
) -> None:
    key = {"Idempotency-Key": "k", "X-User": "ann"}

    answers = await asyncio.gather(*(write(client, key) for _ in range(20)))

    assert {(each.status_code, each.text, each.headers["ETag"], each.headers["Location"]) for each in answers} == {
        (201, answers[0].text, '"1"', answers[0].headers["Location"])
    }
    assert len(await event_store.read_all()) == 1
    assert (await write(client, key, text="other")).status_code == 422
    assert (await write(client, {**key, "X-User": "bea"})).text != answers[0].text


async def test_who_asked_is_recorded_with_the_event(client: httpx.AsyncClient, event_store: EventStore) -> None:
    await write(client, {"X-User": "ann", "traceparent": "00-1-2-01"})

    metadata = (await event_store.read_all())[0].metadata
    assert (metadata.actor, metadata.traceparent) == ("ann", "00-1-2-01")


async def test_a_rule_is_named_when_it_refuses(client: httpx.AsyncClient, event_store: EventStore) -> None:
    refused = await write(client, text="damn")

    assert refused.status_code == 409
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json() == {
        "type": "urn:diptych:problem:rule",
        "title": "Rule",
        "status": 409,
        "detail": "'damn' is rude: say it politely",
        "rule": "Rude",
    }
    assert await event_store.read_all() == []


HOSTILE: list[tuple[bytes, int]] = [
    (b"", 422),
    (b"{", 400),
    (b"nonsense", 400),
    (b'{"text": NaN}', 400),
    (b'{"text": "x", "price": Infinity}', 400),
    (b"\xff\xfe", 400),
    (b'{"text": "\xff"}', 400),
    (b"[" * 100_000, 400),
    (b'{"text": "x", "price": ' + b"9" * 5_000 + b"}", 400),
    (b"[1]", 422),
    (b"null", 422),
    (b'"text"', 422),
    (b"{}", 422),
    (b'{"text": 1}', 422),
    (b'{"text": "a\\u0000b"}', 422),
    (b'{"text": "\\ud800"}', 422),
    (b'{"text": "x", "price": "NaN"}', 422),
    (b'{"text": "x", "at": "2026-01-01T00:00:00"}', 422),
    (b'{"text": "x", "command_id": "mine"}', 422),
    (b'{"text": "x", "timestamp": "2026-01-01T00:00:00Z"}', 422),
    (b'{"text": "x", "tags": [{"name": "a", "colour": "red"}]}', 422),
    (b'{"text": "' + b"x" * 1_100_000 + b'"}', 422),
    (b'{"text": "' + b"x" * 3_000_000 + b'"}', 413),
]


@pytest.mark.parametrize(("body", "status"), HOSTILE, ids=[repr(body[:40]) for body, _ in HOSTILE])
async def test_a_body_that_is_none_is_a_problem_and_changes_nothing(
    client: httpx.AsyncClient, event_store: EventStore, body: bytes, status: int
) -> None:
    refused = await client.post("/notes", content=body, headers={"Content-Type": "application/json"})

    assert (refused.status_code, refused.headers["Content-Type"]) == (status, "application/problem+json"), refused.text
    assert refused.json()["status"] == status
    assert await event_store.read_all() == []


@pytest.mark.parametrize(
    ("url", "status"),
    [
        ("/notes/all?page=0", 422),
        ("/notes/all?page_size=101", 422),
        ("/notes/all?page=x", 422),
        ("/notes/all?colour=red", 422),
        ("/notes/all?from_=1", 422),
        ("/notes/all?cursor=x", 400),
        ("/notes/all?from=1", 200),
        ("/notes/all?q=%22%20OR%20*%20NEAR(", 200),
        ("/notes/all?q=%00", 422),
        ("/notes/all?text='%20OR%201=1", 200),
        ("/notes/all?page=99999999999999999999", 422),
        ("/nowhere", 404),
        ("/notes/a%00b", 404),
    ],
)
async def test_a_query_is_answered_safely_or_refused_as_a_problem(
    client: httpx.AsyncClient, url: str, status: int
) -> None:
    answer = await client.get(url)

    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == ("application/json" if status == 200 else "application/problem+json")


@pytest.mark.parametrize("token", ["x", "", "WzFd", "%00"])
async def test_a_malformed_position_is_refused(client: httpx.AsyncClient, token: str) -> None:
    assert (await client.get("/notes/all", headers={"Diptych-Position": token})).status_code == 400


async def test_a_wrong_method_is_a_problem_too(client: httpx.AsyncClient) -> None:
    refused = await client.put("/notes/all")

    assert (refused.status_code, refused.headers["Content-Type"]) == (405, "application/problem+json")


async def test_decimals_are_never_floats_on_the_way(client: httpx.AsyncClient, event_store: EventStore) -> None:
    body = b'{"text": "x", "price": 12345678901234567890.12}'

    written = await client.post("/notes", content=body, headers={"Content-Type": "application/json"})

    assert written.status_code == 201
    assert str((await event_store.read_all())[0].data.price) == "12345678901234567890.12"


async def test_the_description_of_the_api_shows_what_is_taken_and_given(http: FastAPI) -> None:
    description = http.openapi()
    text = json.dumps(description)

    assert set(description["paths"]["/notes"]["post"]["responses"]) == {
        *("201", "202", "400", "404", "405", "409", "412", "413", "414", "415", "422", "503")
    }
    assert set(description["components"]["schemas"]["Write"]["properties"]) == {"text", "price", "at", "tags"}
    assert description["components"]["schemas"]["Write"]["additionalProperties"] is False
    assert "command_id" not in text
    assert "HTTPValidationError" not in text
    assert [each["name"] for each in description["paths"]["/notes/all"]["get"]["parameters"]] == [
        "q",
        "text",
        "cursor",
        "page",
        "page_size",
        "from",
        "Diptych-Position",
        "Prefer",
    ]
    written = description["paths"]["/notes"]["post"]
    assert [each["name"] for each in written["parameters"]] == [
        *("Idempotency-Key", "If-Match", "If-None-Match", "Prefer")
    ]
    assert {"Diptych-Position", "ETag"} <= set(written["responses"]["201"]["headers"])
    sent = {code: set(answer.get("headers", ())) for code, answer in written["responses"].items()}
    assert (sent["503"], sent["409"], sent["405"]) == ({"Retry-After"}, {"Retry-After"}, {"Allow"})


async def test_a_whole_result_comes_in_pages_of_a_size_that_its_query_allows(client: httpx.AsyncClient) -> None:
    export = Export.of(AllNotes)
    assert export is not None
    assert export.whole({"page_size": 2, "page": 3, "q": "x"}) == {"page": 1, "cursor": None, "q": "x"}
    for number in range(3):
        await write(client, text=str(number))

    whole = await client.get("/notes/all?page_size=2", headers={"Accept": "application/jsonl"})

    assert sorted(json.loads(line)["text"] for line in whole.text.splitlines()) == ["0", "1", "2"]


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "", "application/jsonp"])
async def test_a_body_that_is_not_said_to_be_json_is_told_to(
    client: httpx.AsyncClient, event_store: EventStore, kind: str
) -> None:
    refused = await client.post("/notes", content=b'{"text": "x"}', headers={"Content-Type": kind} if kind else {})

    assert (refused.status_code, refused.headers["Content-Type"]) == (415, "application/problem+json")
    assert "send JSON, with Content-Type: application/json" in refused.json()["detail"]
    assert await event_store.read_all() == []


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "Application/JSON", "application/vnd.x+json"])
async def test_json_goes_by_many_names(client: httpx.AsyncClient, kind: str) -> None:
    written = await client.post("/notes", content=b'{"text": "x"}', headers={"Content-Type": kind})

    assert written.status_code == 201


async def test_what_is_wrong_is_said_once_and_where(client: httpx.AsyncClient) -> None:
    refused = await write(client, tags=[{"name": "a", "colour": "red"}], mood="good")

    assert refused.json()["errors"] == [
        {"loc": ["body", "tags", 0, "colour"], "msg": "there is no such field"},
        {"loc": ["body", "mood"], "msg": "there is no such field"},
    ]


async def test_a_key_that_names_another_request_is_named(client: httpx.AsyncClient) -> None:
    await write(client, {"Idempotency-Key": "k-1"})
    refused = await write(client, {"Idempotency-Key": "k-1"}, text="other")

    assert (refused.status_code, refused.json()["key"]) == (422, "k-1")
    assert "Idempotency-Key 'k-1' was used for another request" in refused.json()["detail"]


async def test_the_page_of_the_api_needs_nothing_from_elsewhere(client: httpx.AsyncClient) -> None:
    page = await client.get("/docs")

    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert [url for url in loaded if not url.startswith("/")] == []
    assert {(await client.get(url)).status_code for url in loaded} == {200}


async def test_a_body_that_a_method_has_no_use_for_is_none(client: httpx.AsyncClient) -> None:
    note = (await write(client)).json()["note_id"]
    headers = {"Idempotency-Key": "k-2", "If-Match": '"1"'}
    touched = await client.request("DELETE", f"/notes/{note}", content=b"not json", headers=headers)

    assert touched.status_code == 200
