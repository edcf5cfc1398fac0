"""`Prefer` over HTTP: how long a client waits, and commands whose senders don't."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from tests.http.conftest import Rude
from tests.serving import serving

from diptych import Command, CommandBus, Diptych
from diptych.edge.fastapi.preferences import Preferences, preferences_of
from diptych.edge.fastapi.requests import command_id_of
from diptych.fastapi import Endpoint, api

SOON_S = 30


class Gate:
    """Holds the commands that come by until it is opened."""

    def __init__(self) -> None:
        self.reached, self.open = asyncio.Event(), asyncio.Event()
        self.is_rude = False


class Slow(Command[str]):
    name: str


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def slow(gate: Gate) -> FastAPI:
    commands = CommandBus()

    @commands.handler
    async def slowly(command: Slow) -> str:
        gate.reached.set()
        await gate.open.wait()
        if command.name == "rude" or gate.is_rude:
            raise Rude("no")
        return command.name

    return api(
        Diptych(commands),
        {"POST /slow": Endpoint(Slow, status=201, location="/slow/{result}")},
        log="memory://",
        read="sqlite:///:memory:",
        principal=lambda request: request.headers.get("X-User"),
        patience_s=0.05,
    )


@pytest.fixture
async def slow_client(slow: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(slow) as url, httpx.AsyncClient(base_url=url, timeout=60) as client:
        yield client


async def ended(client: httpx.AsyncClient, where: str, **headers: str) -> Any:
    async with asyncio.timeout(SOON_S):
        while True:
            status = await client.get(where, headers=headers)
            if status.json().get("status") != "pending":
                return status
            assert status.headers["Retry-After"]


async def test_a_sender_that_does_not_wait_asks_later_how_it_ended(slow_client: httpx.AsyncClient, gate: Gate) -> None:
    taken = await slow_client.post("/slow", json={"name": "a"}, headers={"Prefer": "respond-async"})

    assert (taken.status_code, taken.json()) == (202, {"status": "pending"})
    assert taken.headers["Preference-Applied"] == "respond-async"
    assert (await slow_client.get(taken.headers["Location"])).json() == {"status": "pending"}
    gate.open.set()
    status = await ended(slow_client, taken.headers["Location"])
    assert (status.status_code, status.json()["status"], status.json()["answer"]) == (200, "accepted", "a")
    assert status.json()["location"].startswith("/slow/a?diptych-position=")
    assert status.headers["Diptych-Position"]


async def test_a_refusal_is_told_as_the_problem_that_it_is(slow_client: httpx.AsyncClient, gate: Gate) -> None:
    gate.open.set()
    taken = await slow_client.post("/slow", json={"name": "rude"}, headers={"Prefer": "Respond-Async; x=1, foo"})

    status = await ended(slow_client, taken.headers["Location"])
    assert (status.json()["status"], status.json()["code"], status.json()["answer"]["rule"]) == ("refused", 409, "Rude")


async def test_what_has_the_wrong_shape_is_refused_at_once(slow_client: httpx.AsyncClient) -> None:
    refused = await slow_client.post("/slow", json={}, headers={"Prefer": "respond-async"})

    assert refused.status_code == 422


async def test_a_client_may_wait_a_while_for_the_answer_itself(slow_client: httpx.AsyncClient, gate: Gate) -> None:
    wish = {"Prefer": "respond-async, wait=30"}
    asked = asyncio.create_task(slow_client.post("/slow", json={"name": "a"}, headers=wish))
    await gate.reached.wait()
    gate.open.set()

    answer = await asked
    assert (answer.status_code, answer.json()) == (201, "a")
    assert answer.headers["Preference-Applied"] == "wait=30"


async def test_the_status_of_a_command_is_shown_to_its_own_principal_only(
    slow_client: httpx.AsyncClient, gate: Gate
) -> None:
    gate.open.set()
    mine = {"Idempotency-Key": "k/1", "X-User": "ann"}
    accepted = await slow_client.post("/slow", json={"name": "a"}, headers=mine)

    status = await slow_client.get("/commands/k%2F1", headers={"X-User": "ann"})
    assert (status.status_code, status.json()) == (200, {"status": "accepted", "answer": "a", "location": None})
    assert status.headers["Diptych-Position"] == accepted.headers["Diptych-Position"]
    assert (await slow_client.get("/commands/k%2F1", headers={"X-User": "bea"})).status_code == 404
    assert (await slow_client.get("/commands/k%2F1")).status_code == 404


async def test_a_repeat_in_flight_waits_and_is_told_to_come_back_when_its_time_is_up(
    slow_client: httpx.AsyncClient, gate: Gate
) -> None:
    key = {"Idempotency-Key": "k"}
    first = asyncio.create_task(slow_client.post("/slow", json={"name": "a"}, headers=key))
    await gate.reached.wait()

    early = await slow_client.post("/slow", json={"name": "a"}, headers=key)
    assert (early.status_code, early.headers["Retry-After"]) == (409, "1")
    assert early.headers["Content-Type"] == "application/problem+json"
    patient = asyncio.create_task(slow_client.post("/slow", json={"name": "a"}, headers={**key, "Prefer": "wait=30"}))
    gate.open.set()

    assert (await first).status_code == (await patient).status_code == 201
    assert (await patient).text == (await first).text
    assert (await patient).headers["Preference-Applied"] == "wait=30"


async def test_what_is_under_way_ends_before_the_application_does(slow: FastAPI, gate: Gate) -> None:
    async with serving(slow) as url, httpx.AsyncClient(base_url=url) as client:
        taken = await client.post("/slow", json={"name": "a"}, headers={"Prefer": "respond-async"})
        background = slow.state.diptych_background[1]
        await gate.reached.wait()
        gate.open.set()

    assert taken.status_code == 202
    key = taken.headers["Location"].rpartition("/")[2]
    assert background.answer(command_id_of(key, None)).status_code == 201


@pytest.mark.parametrize(
    ("sent", "understood"),
    [
        ([], Preferences()),
        (["respond-async"], Preferences(True)),
        (["RESPOND-ASYNC, WAIT = 5"], Preferences(True, 5)),
        (['wait="7"; x', "wait=9"], Preferences(False, 7)),
        (["wait=-1"], Preferences()),
        (["wait=1.5, wait=99999999999999999999, return=minimal, ,;="], Preferences()),
    ],
)
def test_preferences_that_are_not_known_are_as_good_as_not_sent(sent: list[str], understood: Preferences) -> None:
    headers = httpx.Headers([("Prefer", each) for each in sent])
    raw = [(name.lower(), value) for name, value in headers.raw]
    assert preferences_of(Request({"type": "http", "headers": raw})) == understood


async def test_what_was_refused_once_and_accepted_since_is_told_as_accepted(
    slow_client: httpx.AsyncClient, gate: Gate
) -> None:
    gate.open.set()
    gate.is_rude = True
    key = {"Idempotency-Key": "k"}
    taken = await slow_client.post("/slow", json={"name": "a"}, headers=key | {"Prefer": "respond-async"})
    assert (await ended(slow_client, taken.headers["Location"])).json()["status"] == "refused"

    gate.is_rude = False
    assert (await slow_client.post("/slow", json={"name": "a"}, headers=key)).status_code == 201
    status = await slow_client.get(taken.headers["Location"])
    assert (status.json()["status"], status.headers["Cache-Control"]) == ("accepted", "no-store")


def test_nobody_in_particular_shares_no_key_with_anybody() -> None:
    ids = {
        command_id_of(key, who)
        for who, key in ((None, "k"), ("", "k"), ("anonymous", "k"), ("a", "b\0k"), ("a\0b", "k"))
    }
    assert len(ids) == 5
