"""What one request may ask for, and how many at once."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
import pytest
from fastapi import FastAPI
from tests.http.conftest import AllNotes, NoteById, Write, app
from tests.serving import Served, serving

from diptych import Token
from diptych.fastapi import Endpoint, Limits, Routes, router

ROUTES: Routes = {
    "POST /notes": Endpoint(Write, status=201),
    "GET /notes/all": AllNotes,
    "GET /notes/{note_id}": NoteById,
}
SOON_S = 30


@asynccontextmanager
async def limited(limits: Limits) -> AsyncIterator[tuple[FastAPI, httpx.AsyncClient]]:
    http = FastAPI()
    http.include_router(router(app, ROUTES, log="memory://", read="sqlite:///:memory:", limits=limits))
    async with serving(http) as url, httpx.AsyncClient(base_url=url, timeout=SOON_S) as client:
        await http.state.diptych.caught_up()
        yield http, client


def is_problem(answer: httpx.Response, status: int) -> None:
    assert (answer.status_code, answer.headers["Content-Type"]) == (status, "application/problem+json"), answer.text


async def test_a_body_is_bounded_whatever_it_says_of_its_length() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    async with limited(Limits(body_bytes=1000)) as (_, client):
        kind = {"Content-Type": "application/json"}
        is_problem(await client.post("/notes", content=b" " * 1001, headers=kind), 413)
        is_problem(await client.post("/notes", content=chunks(), headers=kind), 413)
        whole = b'{"text": "x"}'.ljust(1000)
        assert (await client.post("/notes", content=whole, headers=kind)).status_code == 201


async def test_a_query_string_is_bounded() -> None:
    async with limited(Limits(query_bytes=100)) as (_, client):
        is_problem(await client.get("/notes/all", params={"q": "x" * 99}), 414)
        assert (await client.get("/notes/all", params={"q": "x" * 98})).status_code == 200


async def test_queries_that_wait_are_bounded_and_others_go_on() -> None:
    async with limited(Limits(waiting=3)) as (http, client):
        identity = http.state.diptych.event_store.identity
        beyond = Token(10**6, "", identity.log_id, identity.incarnation).encode()
        wish = {"Diptych-Position": beyond, "Prefer": "wait=3"}
        waiting = [asyncio.create_task(client.get("/notes/all", headers=wish)) for _ in range(10)]

        done, still = await asyncio.wait(waiting, timeout=SOON_S, return_when=asyncio.FIRST_COMPLETED)
        while len(done) < 7:
            more, still = await asyncio.wait(still, timeout=SOON_S, return_when=asyncio.FIRST_COMPLETED)
            done |= more
        for task in done:
            is_problem(task.result(), 503)
            assert task.result().headers["Retry-After"] == "1"
            assert task.result().json()["limit"] == 3
        assert (await client.get("/notes/all")).status_code == 200
        assert {task.headers["Diptych-Stale"] for task in await asyncio.gather(*still)} == {"timeout"}


async def test_who_has_waited_leaves_its_place_to_another() -> None:
    async with limited(Limits(waiting=1)) as (http, client):
        identity = http.state.diptych.event_store.identity
        beyond = Token(10**6, "", identity.log_id, identity.incarnation).encode()
        wish = {"Diptych-Position": beyond, "Prefer": "wait=1"}

        answers = [await client.get("/notes/all", headers=wish) for _ in range(2)]

    assert [each.headers["Diptych-Stale"] for each in answers] == ["timeout", "timeout"]


SLOW = """
import asyncio
from diptych import Command, CommandBus, Diptych
from diptych.fastapi import api, serve

commands = CommandBus()

class Slow(Command[str]):
    pass

@commands.handler
async def slowly(command: Slow) -> str:
    await asyncio.sleep(2.5)
    return "done"

serve(api(Diptych(commands), {"POST /slow": Slow}, log="memory://", read="sqlite:///:memory:"))
"""


async def test_who_is_told_to_end_says_so_first_and_answers_what_is_in_flight(serve: Callable[..., Served]) -> None:
    server = await asyncio.to_thread(serve, "-c", SLOW)
    async with httpx.AsyncClient(base_url=server.url, timeout=SOON_S) as client:
        slow = asyncio.create_task(client.post("/slow"))
        await asyncio.sleep(0.5)

        os.kill(server.process.pid, signal.SIGTERM)
        async with asyncio.timeout(SOON_S):
            while (ready := await client.get("/readyz")).status_code != 503:
                pass
        os.kill(server.process.pid, signal.SIGTERM)

        is_problem(ready, 503)
        assert ready.json()["detail"] == "stopping"
        assert (await slow).json() == "done"
    assert await asyncio.to_thread(server.process.wait, SOON_S) == 0


@pytest.mark.parametrize("drain", ["-1", "soon", "inf", "nan"])
def test_a_time_that_is_none_is_refused_by_name(drain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from diptych.fastapi import serve

    monkeypatch.setenv("DIPTYCH_DRAIN_S", drain)
    with pytest.raises(SystemExit, match=f"DIPTYCH_DRAIN_S is '{drain}'"):
        serve(FastAPI(), port=0)


async def in_the_only_place(client: httpx.AsyncClient, beyond: str) -> "asyncio.Task[httpx.Response]":
    """A request that waits for long, where only one may wait."""
    async with asyncio.timeout(SOON_S):
        while True:
            wishes = [{"Diptych-Position": beyond, "Prefer": f"wait={seconds}"} for seconds in (30, 1)]
            waiting = asyncio.create_task(client.get("/notes/all", headers=wishes[0]))
            done, _ = await asyncio.wait([waiting], timeout=0.3)
            if not done and (await client.get("/notes/all", headers=wishes[1])).status_code == 503:
                return waiting
            waiting.cancel()


async def test_who_goes_away_while_it_waits_leaves_its_place_at_once() -> None:
    async with limited(Limits(waiting=1)) as (http, client):
        identity = http.state.diptych.event_store.identity
        beyond = Token(10**6, "", identity.log_id, identity.incarnation).encode()
        gone = await in_the_only_place(client, beyond)
        gone.cancel()
        wish = {"Diptych-Position": beyond, "Prefer": "wait=1"}
        async with asyncio.timeout(10):
            while (await client.get("/notes/all", headers=wish)).status_code == 503:
                pass


async def test_who_need_not_wait_takes_nobodys_place() -> None:
    async with limited(Limits(waiting=1)) as (http, client):
        token = (await client.post("/notes", json={"text": "x"})).headers["Diptych-Position"]
        await http.state.diptych.caught_up()
        identity = http.state.diptych.event_store.identity
        beyond = Token(10**6, "", identity.log_id, identity.incarnation).encode()
        waiting = await in_the_only_place(client, beyond)

        async with asyncio.timeout(10):  # it is answered at once, but where the machine is very busy
            while (found := await client.get("/notes/all", headers={"Diptych-Position": token})).status_code == 503:
                pass
        assert found.json()["total"] == 1
        waiting.cancel()


async def test_who_waits_when_the_application_is_to_end_is_told_so() -> None:
    async with limited(Limits()) as (http, client):
        running = http.state.diptych
        identity = running.event_store.identity
        beyond = Token(10**6, "", identity.log_id, identity.incarnation).encode()
        waiting = asyncio.create_task(
            client.get("/notes/all", headers={"Diptych-Position": beyond, "Prefer": "wait=30"})
        )
        await asyncio.wait([waiting], timeout=0.1)
        running.stopping = True
        async with asyncio.timeout(10):
            is_problem(await waiting, 503)
        running.stopping = False


@pytest.mark.parametrize("number", ["1e1000000", "-1E-1000000", "0e999999999"])
async def test_a_number_that_would_take_minutes_to_write_out_is_none(number: str) -> None:
    async with limited(Limits()) as (_, client), asyncio.timeout(5):
        kind = {"Content-Type": "application/json", "Idempotency-Key": "k"}
        body = f'{{"text": "x", "tags": [{{"name": "a", "weight": {number}}}]}}'
        refused = await client.post("/notes", content=body, headers=kind)

    is_problem(refused, 400)
