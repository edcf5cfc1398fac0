"""Whether FastAPI fills a message or it is filled directly, a client can't tell."""

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import httpx
import pytest
from annotated_types import Ge
from fastapi import FastAPI
from tests.faults.waiting import until
from tests.serving import serving

from diptych import Command, CommandBus, Diptych, Query, QueryBus
from diptych.edge.fastapi.models import may_hold_a_time
from diptych.fastapi import Routes, api, problems, router


class Put(Command[dict[str, Any]]):
    number: Annotated[int, Ge(1)]
    day: date
    name: str = "none"
    tags: list[str] | None = None


class Poke(Command[str]):
    name: str
    hard: bool = False


class Get(Query[str]):
    number: Annotated[int, Ge(1)]
    loud: bool = False
    names: list[str] | None = None


commands, queries = CommandBus(), QueryBus()


@commands.handler
async def put(command: Put) -> dict[str, Any]:
    return {"number": command.number, "day": command.day.isoformat(), "name": command.name, "tags": command.tags}


@commands.handler
async def poke(command: Poke) -> str:
    return f"{command.name} {command.hard}"


@queries.handler
async def get(query: Get) -> str:
    return f"{query.number} {query.loud} {query.names}"


ROUTES: Routes = {
    "PUT /{number}/on/{day}": Put,
    "POST /pokes/{name}": Poke,
    "DELETE /pokes/{name}": Poke,
    "GET /{number}": Get,
}
JSON = {"Content-Type": "application/json"}
REQUESTS: list[tuple[str, str, bytes | None]] = [
    ("PUT", "/1/on/2026-01-01", b"{}"),
    ("PUT", "/1/on/2026-01-01", None),
    ("PUT", "/1/on/2026-01-01", b"null"),
    ("PUT", "/1/on/2026-01-01?x=1", b'{"name": "a", "tags": ["b"]}'),
    ("PUT", "/0/on/2026-13-01", b'{"name": 1, "colour": "red"}'),
    ("PUT", "/x/on/2026-01-01", b'{"tags": [1, "a", null]}'),
    ("PUT", "/1/on/2026-01-01", b"[]"),
    ("PUT", "/1/on/2026-01-01", b'"a"'),
    ("PUT", "/1/on/2026-01-01", b"{"),
    ("PUT", "/1/on/2026-01-01", b'{"name": NaN}'),
    ("PUT", "/1/on/2026-01-01", b"\xff\xfe\xff"),
    ("PUT", "/1/on/2026-01-01", b'{"name": "\xff"}'),
    ("PUT", "/1/on/2026-01-01", b"[" * 100_000),
    ("PUT", "/1/on/2026-01-01", b'{"name": ' + b"9" * 5_000 + b"}"),
    ("PUT", "/1/on/2026-01-01", b'{"name": 1e99999999999999999999}'),
    ("PUT", "/1/on/2026-01-01", b'{"name": "' + b"x" * 3_000_000 + b'"}'),
    ("PUT", "/1/on/2026-01-01", b'{"number": 2}'),
    ("PUT", "/1/on/2026-01-01", b'{"command_id": "mine"}'),
    ("POST", "/pokes/a%2Fb", b'{"hard": true}'),
    ("POST", "/pokes/a", b'{"hard": "maybe"}'),
    ("POST", "/pokes/a", None),
    ("POST", "/pokes/a", b"null"),
    ("DELETE", "/pokes/a", None),
    ("DELETE", "/pokes/a?hard=1", None),
    ("DELETE", "/pokes/a?soft=1", None),
    ("GET", "/1", None),
    ("GET", "/0", None),
    ("GET", "/1?loud=true&names=a&names=b", None),
    ("GET", "/1?loud=x", None),
    ("GET", "/1?diptych-position=x", None),
    ("GET", "/1?" + "x" * 9_000, None),
    ("PATCH", "/1", None),
]


@pytest.fixture
async def clients() -> AsyncIterator[list[httpx.AsyncClient]]:
    databases = {"log": "memory://", "read": "sqlite:///:memory:"}
    direct = api(Diptych(commands, queries), ROUTES, log=databases["log"], read=databases["read"])
    included = FastAPI()
    included.include_router(router(Diptych(commands, queries), ROUTES, log=databases["log"], read=databases["read"]))
    problems(included)
    async with (
        serving(direct) as one,
        serving(included) as other,
        httpx.AsyncClient(base_url=one) as first,
        httpx.AsyncClient(base_url=other) as second,
    ):
        yield [first, second]


async def test_both_ways_answer_alike(clients: list[httpx.AsyncClient]) -> None:
    told: list[list[tuple[Any, ...]]] = [[], []]
    for client, answers in zip(clients, told, strict=True):
        for method, path, body in REQUESTS:
            answer = await client.request(method, path, content=body, headers={} if body is None else JSON)
            answers.append((method, path, body, answer.status_code, answer.headers["Content-Type"], answer.text))

    assert told[0] == told[1]
    assert {answer[3] for answer in told[0]} == {200, 400, 405, 413, 414, 422}


@dataclass(frozen=True)
class Inner:
    at: datetime | None
    again: "Inner | None" = None


@pytest.mark.parametrize(
    ("kind", "may"),
    [
        (str, False),
        (date, False),
        (Literal["a", 1], False),
        (tuple[int, ...] | None, False),
        (Annotated[Decimal, datetime], False),
        (datetime, True),
        (list[datetime | None], True),
        (dict[str, Annotated[datetime, 1]], True),
        (Inner, True),
        (list[Inner], True),
        (Any, True),
        (list, True),
        (object, True),
    ],
)
def test_a_time_is_looked_for_where_one_may_be(kind: Any, may: bool) -> None:
    assert may_hold_a_time(kind) is may


async def test_a_client_that_goes_away_in_the_middle_of_its_body_is_nobody_s_error(
    clients: list[httpx.AsyncClient], caplog: pytest.LogCaptureFixture
) -> None:
    head = b"POST /pokes/ann HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
    with caplog.at_level(logging.ERROR, "uvicorn.error"):
        for client in clients:
            _, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
            try:
                before = asyncio.all_tasks()
                writer.write(head)
                await until(lambda before=before: asyncio.all_tasks() - before, "the request does not begin")  # type: ignore[misc]
            finally:
                writer.close()
            await asyncio.wait(asyncio.all_tasks() - before, timeout=30)

    assert not caplog.records
